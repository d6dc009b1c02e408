#include "structure/analysis.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

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
    return rules;
  }();
  return table;
}

std::map<std::string, Shape> probe_shapes(const ModelFile& file, const std::map<std::string, Shape>& given) {
  std::map<std::string, Shape> shapes = given;
  std::map<std::string, int64_t> symbols;
  for (const ValueInfo& input : file.model().graph.inputs) {
    if (!input.shape || input.kind != ValueInfo::Kind::Tensor || shapes.contains(input.name)) continue;
    Shape shape;
    for (size_t axis = 0; axis < input.shape->size(); ++axis) {
      const Dimension& dimension = (*input.shape)[axis];
      int64_t size = dimension.size;
      if (size < 0) {
        size = axis == 0 ? 1 : input.shape->size() >= 4 && axis >= 2 ? 64 : 8;
        if (!dimension.symbol.empty()) size = symbols.try_emplace(dimension.symbol, size).first->second;
      }
      shape.push_back(size);
    }
    shapes[input.name] = shape;
  }
  return shapes;
}

}  // namespace

Analysis::Analysis(const ModelFile& model, const StructureOptions& chosen)
    : file(model), options(chosen), graph(flatten(model.model())), shapes_(infer_shapes(model, probe_shapes(model, chosen.inputs))) {
  space_ = labels.anchor({.node = "", .op = "", .reason = "it is a batch, time or space axis", .fix = "nothing: it holds no channels"}, true);
  for (const FlatNode& flat : graph.nodes) {
    for (const std::string& input : flat.inputs) ++uses_[input];
  }
}

void Analysis::run() {
  add_inputs();
  add_tensors();
  for (const FlatNode& flat : graph.nodes) visit(flat);
  freeze_outputs();
  reconcile_counts();
}

void Analysis::add_inputs() {
  const std::map<std::string, Shape> probes = probe_shapes(file, options.inputs);
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const std::string& name = file.model().graph.inputs[i].name;
    LabelledValue value;
    const auto probe = probes.find(name);
    if (probe != probes.end()) {
      value.known = true;
      const Label anchor = labels.anchor({.node = name, .op = "input", .reason = "it is an input of the model",
                                          .fix = "nothing: the model's inputs stay as they are"});
      for (const int64_t size : probe->second) value.axes.push_back(labels.fixed(size, anchor));
      value.zero.assign(value.axes.size(), 0);
    }
    values[graph.inputs[i]] = std::move(value);
  }
}

void Analysis::add_tensors() {
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
    const bool masked = is_prunable_float(stored.type) || stored.type == DType::Int8 || stored.type == DType::UInt8;
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
  if (info == shapes_.end() || !info->second.shape) return value;
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

void Analysis::passive(size_t input) {
  const LabelledValue& value = in(input);
  if (value.stored < 0) return;
  passive_tensors.insert(graph.tensors[static_cast<size_t>(value.stored)].tensor.id);
  if (uses_[node_->inputs[input]] > 1) {
    for (const Axis& axis : value.axes) labels.freeze(axis, because("a constant is a divisor or statistic here and something else elsewhere"));
  }
}

void Analysis::mark_heads(const Axis& axis) {
  if (axis.labels) heads.insert(heads.end(), axis.labels->begin(), axis.labels->end());
}

void Analysis::count_attribute(const std::string& name, int64_t element, int64_t value, const Axis& line, int64_t first, int64_t last, int64_t sign) {
  if (line.is_fixed()) return;
  lines.push_back(line);
  counts.push_back({.node = &node(), .label = flat().label, .tensor_id = -1, .attribute = name, .element = element, .value = value,
                    .line = static_cast<int>(lines.size()) - 1, .first = first, .last = last, .sign = sign});
}

void Analysis::count_attribute(const std::string& name, int64_t value, const Axis& line, int64_t element) {
  count_attribute(name, element, value, line, 0, line.length, 1);
}

void Analysis::count(const ExpressionPtr& number, const Axis& line, int64_t first, int64_t last, int64_t sign, int input, int64_t element) {
  if (line.is_fixed()) return;
  Count count{.node = &node(), .label = flat().label, .tensor_id = number->tensor_id, .attribute = number->attribute, .element = number->element,
              .value = number->value, .line = static_cast<int>(lines.size()), .first = first, .last = last, .sign = sign};
  const bool constant = number->kind == Expression::Kind::Constant && (number->tensor_id >= 0 || number->node != nullptr);
  if (constant) {
    if (number->node != nullptr) count.node = number->node;
    if (number->reader != nullptr) {
      count.node = number->reader->node;
      count.label = number->reader->label;
    }
  } else {
    const std::vector<ExpressionPtr>* numbers = input >= 0 ? parameter(static_cast<size_t>(input)) : nullptr;
    const bool computed = numbers != nullptr && std::all_of(numbers->begin(), numbers->end(), [](const ExpressionPtr& one) { return is_static(*one); });
    count.pin = computed ? pin(static_cast<size_t>(input), *integers(static_cast<size_t>(input))) : -1;
    if (count.pin < 0) {
      labels.freeze(line, because("a number that counts its indices is computed in the graph", "fold constants (onnxsim) before cutting"));
      return;
    }
    pin_moves(count.pin, line);
    count.line = static_cast<int>(lines.size());
    count.tensor_id = -1;
    count.attribute.clear();
    count.element = element;
  }
  lines.push_back(line);
  counts.push_back(std::move(count));
}

namespace {

/// One number of the file under all names by which calls of a function reach it.
std::string identity(const Count& count, const std::set<const Node*>& copies) {
  const std::string number = fmt::format("{} {} {} {}", count.tensor_id, count.attribute, count.pin, count.element);
  if (!copies.contains(count.node)) return fmt::format("{} {} {}", number, fmt::ptr(count.node), count.label);
  return fmt::format("{} {} {} {}", number, count.node->index, count.node->op_type, count.node->outputs.empty() ? "" : count.node->outputs[0]);
}

}  // namespace

/// A number that counts along two axes at once holds them alike.
void Analysis::reconcile_counts() {
  std::set<const Node*> copies;
  for (const Node& copy : graph.owned) copies.insert(&copy);
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto [entry, fresh] = known.try_emplace(identity(counts[i], copies), i);
    if (fresh) continue;
    const Count& a = counts[entry->second];
    const Count& b = counts[i];
    const Axis one = lines[static_cast<size_t>(a.line)];
    const Axis other = lines[static_cast<size_t>(b.line)];
    if (a.sign == b.sign && a.last - a.first == b.last - b.first) {
      for (int64_t k = 0; k < a.last - a.first; ++k) labels.unite(one.at(a.first + k), other.at(b.first + k));
    } else {
      const Label anchor = labels.anchor({.node = a.label, .op = a.node->op_type, .reason = "one stored number counts along different axes",
                                          .fix = "give each its own constant (onnxsim does)"});
      labels.freeze(one, anchor);
      labels.freeze(other, anchor);
    }
  }
}

void Analysis::freeze_lengths(const ExpressionPtr& expression, Label anchor) {
  if (expression->kind == Expression::Kind::Length) labels.freeze(expression->axis, anchor);
  for (const ExpressionPtr& part : expression->parts) freeze_lengths(part, anchor);
}

void Analysis::bind(const ExpressionPtr& expression, const Axis& axis) {
  using Kind = Expression::Kind;
  const auto give_up = [&](const std::string& reason) {
    const Label anchor = because(reason, "fold constants (onnxsim) before cutting");
    labels.freeze(axis, anchor);
    freeze_lengths(expression, anchor);
  };
  if (axis.is_fixed()) {
    freeze_lengths(expression, axis.anchor >= 0 ? axis.anchor : space_);
    return;
  }
  switch (expression->kind) {
    case Kind::Constant:
      count(expression, axis, 0, axis.length);
      return;
    case Kind::Length:
      if (labels.stay_equal(expression->axis, axis)) return;
      if (expression->axis.length == axis.length) labels.unite(expression->axis, axis);
      else give_up("its length is taken from an axis of another length");
      return;
    case Kind::Product: {
      const int64_t rows = expression->parts[0]->value;
      const int64_t columns = expression->parts[1]->value;
      if (rows * columns != axis.length) return give_up("its length is computed in the graph");
      const auto [upper, lower] = labels.split(axis, rows, columns);
      bind(expression->parts[0], upper);
      bind(expression->parts[1], lower);
      return;
    }
    case Kind::Quotient: {
      const ExpressionPtr& whole = expression->parts[0];
      const ExpressionPtr& divisor = expression->parts[1];
      if (whole->kind != Kind::Length || divisor->kind != Kind::Constant || divisor->value * axis.length != whole->value) {
        return give_up("its length is computed in the graph");
      }
      const auto [upper, lower] = labels.split(whole->axis, divisor->value, axis.length);
      labels.unite(lower, axis);
      bind(divisor, upper);
      return;
    }
    case Kind::Other: return give_up("its length is computed in the graph");
  }
}

void Analysis::rescale(const std::string& value, const Axis& line) {
  lines.push_back(line);
  rescales.push_back({.node = &node(), .label = flat().label, .value = value, .line = static_cast<int>(lines.size()) - 1, .total = line.length});
}

int Analysis::pin(size_t input, const std::vector<int64_t>& numbers) {
  if (!options.allow_pins || node_->nested || node_->label != node().label()) return -1;
  for (size_t i = 0; i < pins.size(); ++i) {
    if (pins[i].node == &node() && pins[i].input == static_cast<int>(input)) return static_cast<int>(i);
  }
  Shape shape;
  for (const Axis& axis : in(input).axes) shape.push_back(axis.length);
  const auto info = shapes_.find(node_->inputs[input]);
  const DType type = info == shapes_.end() ? DType::Undefined : info->second.type;
  HostTensor value;
  if (type == DType::Int64) value = HostTensor::of<int64_t>(type, shape, numbers);
  else if (type == DType::Int32) value = HostTensor::of<int32_t>(type, shape, std::vector<int32_t>(numbers.begin(), numbers.end()));
  else if (type == DType::Float32) value = HostTensor::of<float>(type, shape, std::vector<float>(numbers.begin(), numbers.end()));
  else return -1;
  pins.push_back({.node = &node(), .label = node_->label, .input = static_cast<int>(input), .value = std::move(value)});
  return static_cast<int>(pins.size()) - 1;
}

void Analysis::count_pinned(int pin, int64_t element, const Axis& line) {
  pin_moves(pin, line);
  counts.push_back({.node = &node(), .label = flat().label, .pin = pin, .element = element, .value = line.length,
                    .line = static_cast<int>(lines.size()) - 1, .first = 0, .last = line.length});
}

void Analysis::pin_moves(int pin, const Axis& line) {
  if (line.is_fixed()) return;
  pins[static_cast<size_t>(pin)].lines.push_back(static_cast<int>(lines.size()));
  lines.push_back(line);
}

namespace {

void collect_lengths(const Expression& expression, std::vector<Axis>& axes) {
  if (expression.kind == Expression::Kind::Length && !expression.axis.is_fixed()) axes.push_back(expression.axis);
  for (const ExpressionPtr& part : expression.parts) collect_lengths(*part, axes);
}

}  // namespace

/// Numbers made of lengths enter the computation: they stay what they are, as a constant if they are none yet.
void Analysis::keep_lengths(size_t input) {
  const LabelledValue& value = in(input);
  std::vector<Axis> axes;
  for (const ExpressionPtr& one : *value.integers) collect_lengths(*one, axes);
  if (axes.empty()) return;
  const bool constant = std::all_of(value.integers->begin(), value.integers->end(), [](const ExpressionPtr& one) { return is_static(*one); });
  const int pinned = constant ? pin(input, *integers(input)) : -1;
  for (const Axis& axis : axes) {
    if (pinned >= 0) pin_moves(pinned, axis);
    else labels.freeze(axis, because("its length enters the computation", "fold constants (onnxsim) before cutting"));
  }
}

void Analysis::freeze_all(const std::string& reason, const std::string& fix) {
  std::optional<Label> anchor;
  for (size_t i = 0; i < node_->inputs.size(); ++i) {
    for (const Axis& axis : in(i).axes) {
      if (axis.is_fixed()) continue;
      if (!anchor) anchor = because(reason, fix);
      labels.freeze(axis, *anchor);
    }
  }
  for (size_t i = 0; i < node_->outputs.size(); ++i) out(i, inferred(i));
}

void Analysis::visit(const FlatNode& flat) {
  node_ = &flat;
  parameters_.clear();
  const std::string& op = flat.node->op_type;
  const std::string key = flat.node->domain.empty() ? op : flat.node->domain + "." + op;
  const bool has_bodies = std::any_of(flat.node->attributes.begin(), flat.node->attributes.end(), [](const Attribute& attribute) {
    return std::holds_alternative<std::shared_ptr<const Graph>>(attribute.value);
  });
  if (flat.nested || has_bodies) {
    freeze_all(fmt::format("it is used by {} {}", flat.nested ? "a node inside the body of an If, Loop or Scan," : "the control flow of", op),
               "unroll or inline the control flow before cutting");
    freeze_nested(flat);
  } else if (!evaluate_integers(*this)) {
    const auto rule = rules().find(key);
    const bool complete = std::all_of(flat.inputs.begin(), flat.inputs.end(), [&](const std::string& name) {
      const auto value = values.find(name);
      return name.empty() || (value != values.end() && value->second.known);
    });
    if (rule == rules().end()) {
      freeze_all(fmt::format("the operator {} has no rule", key), "exclude these layers, or ask for a rule (docs/structured.md)");
    } else if (!complete) {
      freeze_all("the shape of an operand is not known before run time", "give input shapes with --input, or export with static shapes");
    } else {
      rule->second(*this);
    }
  }
  for (size_t i = 0; i < flat.inputs.size(); ++i) {
    if (in(i).integers && !parameters_.contains(i)) keep_lengths(i);
  }
  for (size_t i = 0; i < flat.outputs.size(); ++i) {
    if (!flat.outputs[i].empty() && !values.contains(flat.outputs[i])) out(i, inferred(i));
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
        for (const Axis& axis : value->second.axes) labels.freeze(axis, because("it is a result of control flow", "unroll or inline the control flow before cutting"));
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
    for (const Axis& axis : value->second.axes) labels.freeze(axis, anchor);
    if (!value->second.integers) continue;
    for (const ExpressionPtr& one : *value->second.integers) freeze_lengths(one, anchor);
  }
}

}  // namespace sparsify
