#include "structure/analysis.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "mask/prunable.h"

namespace sparsify {
namespace {

constexpr int64_t kMostIntegers = 4096;

const RuleTable& rules() {
  static const RuleTable table = [] {
    RuleTable rules;
    add_elementwise_rules(rules);
    add_product_rules(rules);
    add_convolution_rules(rules);
    add_normalization_rules(rules);
    add_movement_rules(rules);
    add_reshape_rules(rules);
    add_selection_rules(rules);
    add_reduction_rules(rules);
    add_recurrent_rules(rules);
    add_attention_rules(rules);
    add_quantization_rules(rules);
    add_sampling_rules(rules);
    add_scatter_rules(rules);
    add_sequence_rules(rules);
    add_transformer_rules(rules);
    add_state_rules(rules);
    add_held_rules(rules);
    return rules;
  }();
  return table;
}

/// Of an axis whose length only the run knows: one sample, pictures of 64 x 64, sequences of 8; a cache [N, heads, T, width] of 16, which
/// its table of positions has.
int64_t assumed_size(const std::vector<Dimension>& shape, size_t axis) {
  if (axis == 0) return 1;
  if (shape.size() < 4 || axis < 2) return 8;
  const bool cache = shape.size() == 4 && axis == 2 && shape[3].size >= 0;
  return cache ? 16 : 64;
}

/// Sizes of inputs' axes that a weight says: the channels of the convolution, or the columns of the product, that reads the input, also behind operators of
/// one element each. Of Gemm and MatMul the last axis, written -1.
std::map<std::string, std::pair<int, int64_t>> sizes_by_weights(const FlatGraph& graph) {
  static const std::set<std::string> keeps_shape{"Cast", "Identity", "QuantizeLinear", "DequantizeLinear", "Add", "Sub", "Mul", "Div"};
  std::map<std::string, std::string> input_behind, weight_behind;
  std::map<std::string, Shape> stored;
  for (const std::string& input : graph.inputs) input_behind[input] = input;
  for (const FlatTensor& tensor : graph.tensors) {
    weight_behind[tensor.value] = tensor.value;
    stored[tensor.value] = tensor.tensor.shape;
  }
  std::map<std::string, std::pair<int, int64_t>> sizes;
  for (const FlatNode& node : graph.nodes) {
    if (node.inputs.empty() || node.outputs.empty() || !node.node->domain.empty()) continue;
    const std::string& op = node.node->op_type;
    const auto input = input_behind.find(node.inputs[0]);
    if (keeps_shape.contains(op)) {
      const auto weight = weight_behind.find(node.inputs[0]);
      if (input != input_behind.end()) input_behind[node.outputs[0]] = input->second;
      if (weight != weight_behind.end() && op == "DequantizeLinear") weight_behind[node.outputs[0]] = weight->second;
      continue;
    }
    const auto weight = node.inputs.size() > 1 ? weight_behind.find(node.inputs[1]) : weight_behind.end();
    if (input == input_behind.end() || weight == weight_behind.end()) continue;
    const Shape& shape = stored.at(weight->second);
    if (op == "Conv" && shape.size() > 2) sizes.try_emplace(input->second, 1, shape[1] * node.node->integer("group", 1));
    else if (op == "ConvTranspose" && shape.size() > 2) sizes.try_emplace(input->second, 1, shape[0]);
    else if (op == "MatMul" && shape.size() == 2) sizes.try_emplace(input->second, -1, shape[0]);
    else if (op == "Gemm" && shape.size() == 2 && node.node->integer("transA", 0) == 0) sizes.try_emplace(input->second, -1, shape[node.node->integer("transB", 0) == 0 ? 0 : 1]);
  }
  return sizes;
}

std::map<std::string, Shape> probe_shapes(const ModelFile& file, const FlatGraph& graph, const std::map<std::string, Shape>& given) {
  std::map<std::string, Shape> shapes = given;
  std::map<std::string, int64_t> symbols;
  const std::map<std::string, std::pair<int, int64_t>> by_weights = sizes_by_weights(graph);
  for (const ValueInfo& input : file.model().graph.inputs) {
    const auto stated = given.find(input.name);  // inputs that share a symbol with it have its size
    for (size_t axis = 0; stated != given.end() && input.shape && axis < input.shape->size() && axis < stated->second.size(); ++axis) {
      const Dimension& dimension = (*input.shape)[axis];
      if (dimension.size < 0 && !dimension.symbol.empty()) symbols.try_emplace(dimension.symbol, stated->second[axis]);
    }
  }
  for (const ValueInfo& input : file.model().graph.inputs) {
    if (!input.shape || input.kind != ValueInfo::Kind::Tensor || shapes.contains(input.name)) continue;
    Shape shape;
    for (size_t axis = 0; axis < input.shape->size(); ++axis) {
      const Dimension& dimension = (*input.shape)[axis];
      int64_t size = dimension.size;
      if (size < 0) {
        const auto said = by_weights.find(input.name);
        const bool by_weight = said != by_weights.end() && static_cast<int>(axis) == (said->second.first < 0 ? static_cast<int>(input.shape->size()) - 1 : said->second.first);
        size = by_weight ? said->second.second : assumed_size(*input.shape, axis);
        if (!dimension.symbol.empty()) size = symbols.try_emplace(dimension.symbol, size).first->second;
      }
      shape.push_back(size);
    }
    shapes[input.name] = shape;
  }
  return shapes;
}

bool is_byte(DType type) { return type == DType::Int8 || type == DType::UInt8; }

/// This operand is a scale, a zero point, a mean or a variance.
bool is_statistic(const FlatNode& flat, size_t input) {
  const std::string& op = flat.node->op_type;
  if (op == "QuantizeLinear" || op == "DequantizeLinear") return input == 1 || input == 2;
  return op == "BatchNormalization" && (input == 3 || input == 4);
}

/// Whatever reads the value reads it as a statistic. Each such rule unites its axis with what it goes along.
bool is_only_statistic(const FlatGraph& graph, const std::string& value) {
  return std::all_of(graph.nodes.begin(), graph.nodes.end(), [&](const FlatNode& flat) {
    for (size_t input = 0; input < flat.inputs.size(); ++input) {
      if (flat.inputs[input] == value && !is_statistic(flat, input)) return false;
    }
    return true;
  });
}

}  // namespace

bool has_rule(const std::string& key) { return rules().contains(key); }

Analysis::Analysis(const ModelFile& model, const StructureOptions& chosen)
    : file(model), options(chosen), graph(flatten(model.model())), shapes_(infer_shapes(model, probe_shapes(model, graph, chosen.inputs))) {
  space_ = labels.anchor({.node = "", .op = "", .reason = "it is a batch, time or space axis", .fix = "nothing: it holds no channels"}, true);
  for (const FlatNode& flat : graph.nodes) {
    for (const std::string& input : flat.inputs) ++uses_[input];
  }
  find_bodies();
}

void Analysis::run() {
  add_inputs();
  add_tensors();
  for (const FlatNode& flat : graph.nodes) visit(flat);
  freeze_outputs();
  reconcile_counts();
}

void Analysis::add_inputs() {
  const std::map<std::string, Shape> probes = probe_shapes(file, graph, options.inputs);
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const std::string& name = file.model().graph.inputs[i].name;
    LabelledValue value;
    const auto probe = probes.find(name);
    if (probe != probes.end()) {
      value.known = true;
      const Label anchor = labels.anchor({.node = name, .op = "input", .reason = "it is an input of the model",
                                          .fix = "nothing: the model's inputs stay as they are"});
      for (const int64_t size : probe->second) value.axes.push_back(labels.fixed(size, anchor));
      const auto& shape = file.model().graph.inputs[i].shape;
      for (size_t axis = 0; shape && axis < shape->size() && axis < value.axes.size(); ++axis) value.axes[axis].stated = (*shape)[axis].size >= 0;
      value.zero.assign(value.axes.size(), 0);
    }
    if (!value.known) unknown_[graph.inputs[i]] = fmt::format("the input \"{}\" states no shape", name);
    values[graph.inputs[i]] = std::move(value);
  }
}

void Analysis::add_tensors() {
  std::set<int> weights;  // integers that are no weight are cut, not masked
  if (std::any_of(graph.tensors.begin(), graph.tensors.end(), [](const FlatTensor& flat) { return is_byte(flat.tensor.type); })) {
    for (const PrunableTensor& tensor : find_tensors(file)) weights.insert(tensor.id);
  }
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    const StoredTensor& stored = graph.tensors[t].tensor;
    const auto [known, fresh] = tensor_axes.try_emplace(stored.id);
    if (fresh || stored.id < 0) {
      known->second.clear();
      for (const int64_t size : stored.shape) known->second.push_back(size > 1 ? labels.fresh(size) : fixed(size));
    }
    LabelledValue value;
    value.known = true;
    value.axes = known->second;
    value.stored = static_cast<int>(t);
    value.floating = is_prunable_float(stored.type);
    const bool masked = is_prunable_float(stored.type) || (is_byte(stored.type) && weights.contains(stored.id));
    value.zero.assign(value.axes.size(), masked ? 1 : 0);
    const bool whole = stored.type == DType::Int64 || stored.type == DType::Int32;
    const bool number = stored.shape.empty() && is_prunable_float(stored.type);
    if ((whole || number) && stored.id >= 0 && stored.shape.size() <= 1 && element_count(stored.shape) <= kMostIntegers) {
      const HostTensor data = file.tensor_data(stored.id);
      std::vector<int64_t> numbers;
      if (whole) {
        numbers = data.to_integers();
      } else if (const float one = data.to_floats().at(0); one == static_cast<float>(static_cast<int64_t>(one))) {
        numbers = {static_cast<int64_t>(one)};
      }
      if (!numbers.empty() || whole) {
        value.integers.emplace();
        for (size_t i = 0; i < numbers.size(); ++i) {
          value.integers->push_back(stored_number(numbers[i], stored.id, i));
        }
      }
    }
    values[graph.tensors[t].value] = std::move(value);
  }
}

const LabelledValue& Analysis::in(size_t input) const {
  static const LabelledValue unknown;
  const auto found = has(input) ? values.find(node_->inputs[input]) : values.end();
  return found == values.end() ? unknown : found->second;
}

void Analysis::out(size_t output, LabelledValue value) {
  if (output >= node_->outputs.size() || node_->outputs[output].empty()) return;
  value.zero.resize(value.axes.size(), 0);
  check_output(output, value);
  value_order.push_back(node_->outputs[output]);
  values[node_->outputs[output]] = std::move(value);
}

/// Unknown lengths come from shape inference; where a rule and inference disagree, nothing along the axis is cut.
void Analysis::check_output(size_t output, LabelledValue& value) {
  if (value.is_sequence) return;
  const LabelledValue expected = inferred(output);
  if (!expected.known) return;
  if (!value.known || value.rank() != expected.rank()) {
    for (const Axis& axis : value.axes) labels.freeze(axis, because("its result has another rank than shape inference says"));
    value = expected;
    return;
  }
  for (size_t i = 0; i < value.axes.size(); ++i) {
    Axis& axis = value.axes[i];
    const int64_t length = expected.axes[i].length;
    if (axis.length == length || length < 0) continue;
    if (!axis.is_fixed()) labels.freeze(axis, because("its result has another shape than shape inference says"));
    axis = labels.fixed(length, axis.is_fixed() ? axis.anchor : space_);
  }
}

LabelledValue Analysis::inferred(size_t output) const {
  LabelledValue value;
  if (output >= node_->outputs.size()) return value;
  const auto info = shapes_.find(node_->outputs[output]);
  if (info == shapes_.end() || !info->second.shape || info->second.kind != ValueInfo::Kind::Tensor) return value;
  value.known = true;
  for (const Dimension& dimension : *info->second.shape) value.axes.push_back(fixed(dimension.size));
  value.zero.assign(value.axes.size(), 0);
  return value;
}

const std::vector<ExpressionPtr>* Analysis::parameter(size_t input) {
  parameters_.insert(input);
  const LabelledValue& value = in(input);
  return value.integers ? &*value.integers : nullptr;
}

std::optional<std::vector<int64_t>> Analysis::integers(size_t input) {
  if (!has(input)) return std::nullopt;
  const LabelledValue& value = in(input);
  if (value.integers) {
    std::vector<int64_t> numbers;
    for (const ExpressionPtr& one : *value.integers) numbers.push_back(one->value);
    return numbers;
  }
  if (value.stored < 0) return std::nullopt;
  const StoredTensor& stored = graph.tensors[static_cast<size_t>(value.stored)].tensor;
  if (is_prunable_float(stored.type) || stored.type == DType::String || stored.id < 0) return std::nullopt;
  return file.tensor_data(stored.id).to_integers();
}

std::optional<float> Analysis::number(size_t input) const {
  const LabelledValue& value = in(input);
  if (value.stored >= 0) {
    const StoredTensor& stored = graph.tensors[static_cast<size_t>(value.stored)].tensor;
    if (element_count(stored.shape) != 1 || stored.id < 0 || stored.type == DType::String) return std::nullopt;
    return file.tensor_data(stored.id).to_floats().at(0);
  }
  if (value.number) return value.number;
  if (value.integers && value.integers->size() == 1) return static_cast<float>(value.integers->front()->value);
  return std::nullopt;
}

std::vector<float> Analysis::numbers(size_t input) const {
  const LabelledValue& value = in(input);
  if (value.stored < 0) return {};
  const StoredTensor& stored = graph.tensors[static_cast<size_t>(value.stored)].tensor;
  if (stored.id < 0 || !is_prunable_float(stored.type) || element_count(stored.shape) > 64) return {};
  return file.tensor_data(stored.id).to_floats();
}

std::optional<std::vector<int64_t>> Analysis::attribute_or_input(const std::string& attribute, size_t input) {
  if (node().find(attribute) != nullptr) return node().integers(attribute);
  parameter(input);
  return integers(input);
}

Label Analysis::because(const std::string& reason, const std::string& fix) {
  return labels.anchor({.node = node_->label, .op = node_->node->op_type, .reason = reason, .fix = fix});
}

bool Analysis::is_zero(size_t input) {
  if (!has(input)) return true;
  const auto held = integers(input);
  return held && std::all_of(held->begin(), held->end(), [](int64_t value) { return value == 0; });
}

void Analysis::passive(size_t input) {
  const LabelledValue& value = in(input);
  if (value.stored < 0) return;
  passive_tensors.insert(graph.tensors[static_cast<size_t>(value.stored)].tensor.id);
  const bool moves = std::any_of(value.axes.begin(), value.axes.end(), [](const Axis& axis) { return !axis.is_fixed(); });
  if (moves && uses_[node_->inputs[input]] > 1 && !is_only_statistic(graph, node_->inputs[input])) {
    for (const Axis& axis : value.axes) labels.freeze(axis, because("a constant is a divisor or statistic here and something else elsewhere"));
  }
}

void Analysis::mark_heads(const Axis& axis) {
  if (axis.labels) heads.insert(heads.end(), axis.labels->begin(), axis.labels->end());
}

void Analysis::hold_others(size_t input, std::initializer_list<int> moving) {
  const LabelledValue& value = in(input);
  for (int axis = 0; axis < value.rank(); ++axis) {
    const bool moves = std::any_of(moving.begin(), moving.end(), [&](int one) { return normal(one, value.rank()) == axis; });
    if (!moves) labels.freeze(value.axes[static_cast<size_t>(axis)], space_);
  }
}

void Analysis::freeze_all(const std::string& reason, const std::string& fix) {
  std::optional<Label> anchor;
  for (size_t i = 0; i < node_->inputs.size(); ++i) {
    freeze_value(in(i), [&] {
      if (!anchor) anchor = because(reason, fix);
      return *anchor;
    });
  }
  for (size_t i = 0; i < node_->outputs.size(); ++i) {
    LabelledValue value = inferred(i);
    for (Axis& axis : value.axes) {  // what reads the result is held by this node, whatever the axis means
      if (axis.length == 1) continue;
      if (!anchor) anchor = because(reason, fix);
      axis.anchor = *anchor;
    }
    out(i, std::move(value));
  }
}

void Analysis::freeze_value(const LabelledValue& value, const std::function<Label()>& anchor) {
  for (const Axis& axis : value.axes) {
    if (!axis.is_fixed()) labels.freeze(axis, anchor());
  }
  for (const LabelledValue& item : value.items) freeze_value(item, anchor);
}

std::string Analysis::unknown_operand() const {
  for (const std::string& name : node_->inputs) {
    const auto value = values.find(name);
    if (name.empty() || (value != values.end() && value->second.known)) continue;
    const auto blamed = unknown_.find(name);
    return blamed == unknown_.end() ? fmt::format("the shape of its operand \"{}\" is not known before run time", name)
                                    : fmt::format("the shape of its operand \"{}\" is not known before run time, since {}", name, blamed->second);
  }
  return "";
}

void Analysis::apply_rule(const std::string& key) {
  const auto rule = rules().find(key);
  const std::string unknown = unknown_operand();
  if (rule == rules().end()) {
    freeze_all(fmt::format("the operator {} has no rule", key), "exclude these layers, or ask for a rule (docs/structured.md)");
  } else if (!unknown.empty()) {
    freeze_all(unknown, "give input shapes with --input, or export with static shapes");
  } else {
    rule->second(*this);
  }
}

void Analysis::visit(const FlatNode& flat) {
  node_ = &flat;
  parameters_.clear();
  const std::string& op = flat.node->op_type;
  const std::string key = flat.node->domain.empty() ? op : flat.node->domain + "." + op;
  const bool has_bodies = std::any_of(flat.node->attributes.begin(), flat.node->attributes.end(), [](const Attribute& attribute) {
    return std::holds_alternative<std::shared_ptr<const Graph>>(attribute.value);
  });
  const Place place = flat.nested ? place_of(flat) : Place::Taken;
  if (place == Place::Skipped) return;  // no run reads what it gives
  if (place == Place::Undecided || (has_bodies && !take_branch(flat))) {
    freeze_all(fmt::format("it is used by {} {}", flat.nested ? "a node inside the body of an If, Loop or Scan," : "the control flow of", op),
               "unroll or inline the control flow before cutting");
    freeze_nested(flat);
  } else if (!has_bodies && !evaluate_integers(*this)) {
    apply_rule(key);
  }
  if (place == Place::Taken && flat.nested) hold_in_branch(flat);
  for (size_t i = 0; i < flat.inputs.size(); ++i) {
    if (in(i).integers && !parameters_.contains(i)) keep_lengths(i);
  }
  for (size_t i = 0; i < flat.outputs.size(); ++i) {
    if (flat.outputs[i].empty()) continue;
    if (!values.contains(flat.outputs[i])) out(i, inferred(i));
    if (values.at(flat.outputs[i]).known) continue;
    const auto inherited = std::find_if(flat.inputs.begin(), flat.inputs.end(), [&](const std::string& name) { return unknown_.contains(name); });
    unknown_[flat.outputs[i]] = inherited != flat.inputs.end() ? unknown_.at(*inherited) : fmt::format("\"{}\" ({}) leaves it open", flat.label, key);
  }
}

/// Values that a body gives back without using them.
void Analysis::freeze_nested(const FlatNode& flat) {
  const size_t scope = flat.label.rfind('/');
  for (const Attribute& attribute : flat.node->attributes) {
    const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
    if (body == nullptr) continue;
    for (const ValueInfo& output : (*body)->outputs) {
      for (const std::string& name : {output.name, scope == std::string::npos ? output.name : flat.label.substr(0, scope + 1) + output.name}) {
        const auto value = values.find(name);
        if (value == values.end()) continue;
        freeze_value(value->second, [&] { return because("it is a result of control flow", "unroll or inline the control flow before cutting"); });
      }
    }
  }
}

void Analysis::freeze_outputs() {
  for (const std::string& output : graph.outputs) {
    const auto value = values.find(output);
    if (value == values.end()) continue;
    const Label anchor = labels.anchor({.node = output, .op = "output", .reason = "it is an output of the model",
                                        .fix = "nothing: the model's outputs stay as they are"});
    freeze_value(value->second, [&] { return anchor; });
    if (!value->second.integers) continue;
    for (const ExpressionPtr& one : *value->second.integers) freeze_lengths(one, anchor);
  }
}

}  // namespace sparsify
