#include "structure/cut.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <tuple>

#include "base/error.h"

namespace sparsify {
namespace {

bool any(const std::vector<bool>& units) { return std::find(units.begin(), units.end(), true) != units.end(); }

/// Where the nodes that an edit may name stand in the file.
class Places {
 public:
  Places(const ModelFile& file, const FlatGraph& flat) : model_(file.model()) {
    for (const Node& node : model_.graph.nodes) known_[&node] = {-1, node.index};
    for (const Node& copy : flat.owned) {
      const NodePlace place = place_of_copy(copy);
      if (place.node >= 0) known_[&copy] = place;
    }
  }

  NodePlace of(const Count& count) const {
    const auto found = known_.find(count.node);
    if (found != known_.end()) return found->second;
    throw ResourceError{{.what = "the node lies in a subgraph or in functions that are alike, and would need other numbers after the cut",
                         .where = count.label,
                         .fix = "leave its group alone (select.exclude), or export the model without functions"}};
  }

 private:
  /// The body that the bound copy of a function's node was made from; none when two bodies have the same node.
  NodePlace place_of_copy(const Node& copy) const {
    NodePlace place{-1, -1};
    for (size_t i = 0; i < model_.functions.size(); ++i) {
      const std::vector<Node>& body = model_.functions[i].nodes;
      const auto at = static_cast<size_t>(copy.index);
      if (copy.index < 0 || at >= body.size()) continue;
      if (body[at].op_type != copy.op_type || body[at].outputs != copy.outputs || body[at].name != copy.name) continue;
      if (place.node >= 0) return {-1, -1};
      place = {static_cast<int>(i), copy.index};
    }
    return place;
  }

  const ModelGraph& model_;
  std::map<const Node*, NodePlace> known_;
};

class Cutter {
 public:
  Cutter(const ModelFile& file, const Structure& structure, const Removed& removed)
      : file_(file), structure_(structure), removed_(removed), places_(file, structure.graph()) {}

  Cut run() {
    slice_tensors();
    rewrite_counts();
    rescale_means();
    state_shapes();
    return std::move(cut_);
  }

 private:
  void slice_tensors() {
    std::set<std::pair<int, int>> axes;
    for (const Group& group : structure_.groups()) {
      if (!any(removed_[static_cast<size_t>(group.id)])) continue;
      for (const Member& member : group.members) axes.emplace(member.tensor_id, member.axis);
    }
    for (const auto& [id, axis] : axes) {
      std::vector<int64_t> kept = structure_.kept(id, axis, removed_);
      const StoredTensor& tensor = file_.tensor(id);
      if (kept.empty() || static_cast<int64_t>(kept.size()) == tensor.shape[static_cast<size_t>(axis)]) continue;
      cut_.edits.slices[id].push_back({axis, std::move(kept)});
    }
    for (const auto& [id, slices] : cut_.edits.slices) {
      const StoredTensor& tensor = file_.tensor(id);
      cut_.tensors.push_back({id, tensor.name, tensor.shape, sliced_shape(tensor.shape, slices), slices});
    }
  }

  void rewrite_counts() {
    std::map<std::pair<NodePlace, std::string>, std::map<int64_t, int64_t>> attributes;
    std::map<int, std::vector<const Count*>> constants;
    for (const Count& count : structure_.counts()) {
      if (count.pin >= 0) continue;
      if (count.tensor_id >= 0) {
        constants[count.tensor_id].push_back(&count);
        continue;
      }
      const int64_t value = structure_.count(count, removed_);
      if (value == count.value && !is_function_copy(count)) continue;
      const NodePlace place = places_.of(count);
      const auto [known, fresh] = attributes[{place, count.attribute}].emplace(count.element, value);
      if (!fresh && known->second != value) throw_calls_disagree(count);
    }
    for (const auto& [where, values] : attributes) rewrite_attribute(where.first, where.second, values);
    for (const auto& [id, counts] : constants) rewrite_constant(id, counts);
    rewrite_pins();
  }

  /// Operands that the graph computes from lengths which change become constants.
  void rewrite_pins() {
    std::map<int, std::map<int64_t, int64_t>> values;
    for (const Count& count : structure_.counts()) {
      if (count.pin >= 0) values[count.pin][count.element] = structure_.count(count, removed_);
    }
    for (size_t i = 0; i < structure_.pins().size(); ++i) {
      const Pin& pin = structure_.pins()[i];
      if (!structure_.moves(pin, removed_)) continue;
      const NodePlace place = places_.of({.node = pin.node, .label = pin.label});
      if (place.function >= 0) throw_calls_disagree({.node = pin.node, .label = pin.label});
      HostTensor value = pin.value.copy();
      for (const auto& [element, number] : values[static_cast<int>(i)]) store(value, element, number);
      const std::string base = pin.node->inputs[static_cast<size_t>(pin.input)];
      std::string name;
      for (int number = 1; name.empty() || is_taken(name); ++number) name = fmt::format("{}_cut{}", base, number);
      cut_.edits.added.emplace_back(name, std::move(value));
      cut_.edits.inputs[place][pin.input] = name;
    }
  }

  /// A mean that divides by fewer is multiplied back by a node of its own; the value keeps its name.
  void rescale_means() {
    std::map<const Node*, std::pair<const Rescale*, double>> factors;
    for (const Rescale& rescale : structure_.rescales()) {
      const double share = structure_.share(rescale, removed_);
      if (share == 1) continue;
      if (rescale.scale != 0) {
        cut_.nodes.floats[rescale.node->index]["scale"] = rescale.scale;
        continue;
      }
      const auto [known, fresh] = factors.try_emplace(rescale.node, &rescale, 1.0);
      known->second.second *= std::pow(share, rescale.power);
      if (rescale.epsilon != 0) cut_.nodes.floats[rescale.node->index]["epsilon"] = static_cast<float>(rescale.epsilon / share);
    }
    for (const auto& [node, made] : factors) {
      const std::string& value = node->outputs.at(0);
      const std::string mean = free_name(value + "_mean");
      const std::string factor = free_name(value + "_kept");
      HostTensor number(made.first->type, {});
      const auto bytes = number.mutable_bytes();
      const auto put = [&](auto one) { std::memcpy(bytes.data(), &one, sizeof one); };
      const auto single = static_cast<float>(made.second);
      switch (number.type()) {
        case DType::Float64: put(made.second); break;
        case DType::Float16: put(float_to_half(single)); break;
        case DType::BFloat16: put(float_to_bfloat16(single)); break;
        default: put(single);
      }
      cut_.edits.added.emplace_back(factor, std::move(number));
      cut_.nodes.outputs[node->index][0] = mean;
      cut_.nodes.added.push_back({.behind = node->index, .name = node->label() + "_rescale", .op_type = "Mul", .inputs = {mean, factor}, .outputs = {value}});
    }
  }

  std::string free_name(const std::string& base) const {
    std::string name = base;
    for (int number = 1; is_taken(name); ++number) name = fmt::format("{}{}", base, number);
    return name;
  }

  static void store(HostTensor& tensor, int64_t element, int64_t value) {
    switch (tensor.type()) {
      case DType::Int64: tensor.mutable_data<int64_t>()[element] = value; break;
      case DType::Int32: tensor.mutable_data<int32_t>()[element] = static_cast<int32_t>(value); break;
      case DType::Float32: tensor.mutable_data<float>()[element] = static_cast<float>(value); break;
      default: invariant(false, "a pinned operand is int64, int32 or float32");
    }
  }

  bool is_function_copy(const Count& count) const {
    return std::any_of(structure_.graph().owned.begin(), structure_.graph().owned.end(), [&](const Node& node) { return &node == count.node; });
  }

  [[noreturn]] static void throw_calls_disagree(const Count& count) {
    throw ResourceError{{.what = fmt::format("the calls of a function would need different numbers of \"{}\" after the cut", count.attribute),
                         .where = count.label,
                         .fix = "leave one of the groups alone (select.exclude), or export the model without functions"}};
  }

  const Node& node_at(const NodePlace& place) const {
    const ModelGraph& model = file_.model();
    const auto at = static_cast<size_t>(place.node);
    return place.function < 0 ? model.graph.nodes[at] : model.functions[static_cast<size_t>(place.function)].nodes[at];
  }

  void rewrite_attribute(const NodePlace& place, const std::string& name, const std::map<int64_t, int64_t>& values) {
    const Node& node = node_at(place);
    const Attribute* stored = node.find(name);
    invariant(stored != nullptr, "a counting attribute is in the file");
    Attribute attribute{name, "", {}};
    bool changes = false;
    if (const auto* many = std::get_if<std::vector<int64_t>>(&stored->value)) {
      std::vector<int64_t> list = *many;
      for (const auto& [element, value] : values) list[static_cast<size_t>(element)] = value;
      changes = list != *many;
      attribute.value = std::move(list);
    } else {
      changes = node.integer(name, values.begin()->second) != values.begin()->second;
      attribute.value = values.begin()->second;
    }
    if (changes) cut_.edits.attributes[place].push_back(std::move(attribute));
  }

  /// The numbers in one stored tensor as each of its readers needs them.
  void rewrite_constant(int id, const std::vector<const Count*>& counts) {
    std::map<std::pair<const Node*, std::string>, std::map<int64_t, int64_t>> by_reader;  // label: a function has several calls
    bool changes = false;
    for (const Count* count : counts) {
      const int64_t value = structure_.count(*count, removed_);
      changes = changes || value != count->value;
      by_reader[{count->node, count->label}][count->element] = value;
    }
    if (!changes) return;
    std::vector<const FlatNode*> readers = readers_of(id);
    const std::map<int64_t, int64_t>& first = by_reader.begin()->second;
    const bool agree = std::all_of(by_reader.begin(), by_reader.end(), [&](const auto& one) { return one.second == first; });
    const bool all_count = std::all_of(readers.begin(), readers.end(), [&](const FlatNode* reader) {
      return by_reader.contains({reader->node, reader->label});
    });
    if (agree && (all_count || readers.empty())) {
      cut_.edits.tensors[id] = rewritten(id, first);
      cut_.edits.slices.erase(id);
      return;
    }
    for (const FlatNode* reader : readers) {
      const auto found = by_reader.find({reader->node, reader->label});
      if (found == by_reader.end()) continue;
      const HostTensor tensor = rewritten(id, found->second);
      if (tensor.shape() == file_.tensor(id).shape && tensor.to_integers() == file_.tensor_data(id).to_integers()) continue;
      give_copy(*reader, id, tensor);
    }
  }

  HostTensor rewritten(int id, const std::map<int64_t, int64_t>& values) const {
    std::vector<int64_t> numbers = file_.tensor_data(id).to_integers();
    for (const auto& [element, value] : values) numbers[static_cast<size_t>(element)] = value;
    const StoredTensor& stored = file_.tensor(id);
    HostTensor tensor = stored.type == DType::Int32 ? HostTensor::of<int32_t>(DType::Int32, stored.shape, std::vector<int32_t>(numbers.begin(), numbers.end()))
                                                    : HostTensor::of<int64_t>(DType::Int64, stored.shape, numbers);
    const auto slices = cut_.edits.slices.find(id);
    return slices == cut_.edits.slices.end() ? tensor : sliced(tensor, slices->second);
  }

  std::set<std::string> names_of(int id) const {
    std::set<std::string> names;
    for (const FlatTensor& tensor : structure_.graph().tensors) {
      if (tensor.tensor.id == id) names.insert(tensor.value);
    }
    return names;
  }

  std::vector<const FlatNode*> readers_of(int id) const {
    const std::set<std::string> names = names_of(id);
    std::vector<const FlatNode*> readers;
    for (const FlatNode& node : structure_.graph().nodes) {
      if (std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) { return names.contains(input); })) readers.push_back(&node);
    }
    return readers;
  }

  void give_copy(const FlatNode& reader, int id, const HostTensor& tensor) {
    const Count here{.node = reader.node, .label = reader.label};
    const NodePlace place = places_.of(here);
    if (place.function >= 0) throw_calls_disagree(here);
    const std::set<std::string> names = names_of(id);
    std::string name = shared_copy(id, tensor);
    for (int number = 1; name.empty(); ++number) {
      const std::string candidate = fmt::format("{}_cut{}", file_.tensor(id).name, number);
      if (is_taken(candidate)) continue;
      name = candidate;
      cut_.edits.added.emplace_back(name, tensor);
    }
    for (size_t i = 0; i < reader.inputs.size(); ++i) {
      if (names.contains(reader.inputs[i])) cut_.edits.inputs[place][static_cast<int>(i)] = name;
    }
  }

  /// Readers that agree share one copy.
  std::string shared_copy(int id, const HostTensor& tensor) const {
    for (const auto& [name, copy] : cut_.edits.added) {
      if (name.starts_with(file_.tensor(id).name + "_cut") && copy.shape() == tensor.shape() && copy.to_integers() == tensor.to_integers()) return name;
    }
    return "";
  }

  bool is_taken(const std::string& name) const {
    const FlatGraph& flat = structure_.graph();
    const auto names = [&](const std::vector<std::string>& list) { return std::find(list.begin(), list.end(), name) != list.end(); };
    return names(flat.inputs) || std::any_of(flat.nodes.begin(), flat.nodes.end(), [&](const FlatNode& node) { return names(node.outputs); }) ||
           std::any_of(flat.tensors.begin(), flat.tensors.end(), [&](const FlatTensor& tensor) { return tensor.value == name; }) ||
           std::any_of(cut_.edits.added.begin(), cut_.edits.added.end(), [&](const auto& one) { return one.first == name; });
  }

  /// Sizes that value_info, outputs and inputs (initializers of IR 3) state.
  void state_shapes() {
    std::map<std::string, const std::vector<Dimension>*> stated;
    const Graph& graph = file_.model().graph;
    for (const auto* list : {&graph.values, &graph.outputs}) {
      for (const ValueInfo& info : *list) {
        if (info.shape) stated.emplace(info.name, &*info.shape);
      }
    }
    for (const Group& group : structure_.groups()) {
      if (!any(removed_[static_cast<size_t>(group.id)])) continue;
      for (const ValueAxis& place : group.values) {
        const auto found = stated.find(place.value);
        if (found == stated.end() || place.axis >= static_cast<int>(found->second->size())) continue;
        const std::vector<int64_t> kept = structure_.kept(place.value, place.axis, removed_);
        if (kept.empty()) continue;
        Shape& shape = cut_.edits.shapes.try_emplace(place.value, Shape(found->second->size(), -1)).first->second;
        shape[static_cast<size_t>(place.axis)] = static_cast<int64_t>(kept.size());
      }
    }
    for (const auto& [id, tensor] : cut_.edits.tensors) state_tensor(file_.tensor(id).name, tensor.shape());
    for (const TensorCut& tensor : cut_.tensors) state_tensor(tensor.tensor, tensor.after);
  }

  void state_tensor(const std::string& name, const Shape& shape) {
    if (!name.empty()) cut_.edits.shapes[name] = shape;
  }

  const ModelFile& file_;
  const Structure& structure_;
  const Removed& removed_;
  Places places_;
  Cut cut_;
};

void prune_slice(BitMask& mask, const Shape& shape, int axis, int64_t index) {
  const AxisSplit at = split_at(shape, axis);
  for (int64_t i = 0; i < at.outer; ++i) {
    const int64_t first = (i * at.size + index) * at.inner;
    for (int64_t j = 0; j < at.inner; ++j) mask.prune(first + j);
  }
}

}  // namespace

Cut cut(const ModelFile& file, const Structure& structure, const Removed& removed) { return Cutter(file, structure, removed).run(); }

std::map<int, BitMask> cut_masks(const ModelFile& file, const Structure& structure, const Removed& removed) {
  std::map<int, BitMask> masks;
  for (const Group& group : structure.groups()) {
    const std::vector<bool>& units = removed[static_cast<size_t>(group.id)];
    if (!any(units)) continue;
    for (const Member& member : group.members) {
      if (member.role == Role::Passive) continue;
      const Shape& shape = file.tensor(member.tensor_id).shape;
      BitMask& mask = masks.try_emplace(member.tensor_id, element_count(shape)).first->second;
      for (size_t unit = 0; unit < units.size(); ++unit) {
        if (!units[unit]) continue;
        for (const int64_t index : member.indices[unit]) prune_slice(mask, shape, member.axis, index);
      }
    }
  }
  return masks;
}

}  // namespace sparsify
