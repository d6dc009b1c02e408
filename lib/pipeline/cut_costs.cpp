#include "pipeline/cut_costs.h"

#include <algorithm>

#include "base/error.h"
#include "onnx/checker.h"
#include "pipeline/figures.h"

namespace sparsify {
namespace {

bool any(const std::vector<bool>& units) { return std::find(units.begin(), units.end(), true) != units.end(); }

}  // namespace

CutCosts::CutCosts(const ModelFile& file, const Structure& structure, const std::map<std::string, Shape>& inputs)
    : file_(file), structure_(structure), shapes_(known_shapes(file, inputs)) {
  for (const auto& [name, info] : infer_shapes(file)) element_bits_[name] = bits_of(info.type);
  const auto add = [&](const std::string& value) {
    if (value.empty() || shapes_.contains(value)) return;
    const Shape shape = structure_.shape(value);
    const bool known = std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size >= 0; });
    if (!shape.empty() && known) shapes_.emplace(value, shape);
  };
  activations_.insert(structure.graph().inputs.begin(), structure.graph().inputs.end());
  for (const FlatNode& node : structure.graph().nodes) {
    for (const std::string& input : node.inputs) add(input);
    for (const std::string& output : node.outputs) add(output);
    activations_.insert(node.outputs.begin(), node.outputs.end());
  }
  for (const FlatTensor& tensor : structure.graph().tensors) shapes_[tensor.value] = tensor.tensor.shape;
  for (const PrunableTensor& tensor : find_tensors(file)) weights_.push_back(tensor.id);
  for (size_t group = 0; group < structure.groups().size(); ++group) {
    for (const Member& member : structure.groups()[group].members) cut_axes_[member.tensor_id].emplace_back(member.axis, group);
  }
}

std::map<std::string, Shape> CutCosts::shapes_after(const Removed& removed) const {
  std::map<std::string, Shape> shapes = shapes_;
  for (const Group& group : structure_.groups()) {
    if (!any(removed[static_cast<size_t>(group.id)])) continue;
    for (const ValueAxis& place : group.values) {
      const auto found = shapes.find(place.value);
      if (found == shapes.end() || place.axis >= static_cast<int>(found->second.size())) continue;
      const auto kept = static_cast<int64_t>(structure_.kept(place.value, place.axis, removed).size());
      if (kept > 0) found->second[static_cast<size_t>(place.axis)] = kept;
    }
  }
  for (const FlatTensor& tensor : structure_.graph().tensors) {
    const auto axes = cut_axes_.find(tensor.tensor.id);
    if (axes == cut_axes_.end()) continue;
    Shape& shape = shapes[tensor.value];
    for (const auto& [axis, group] : axes->second) {
      if (!any(removed[group])) continue;
      const auto kept = static_cast<int64_t>(structure_.kept(tensor.tensor.id, axis, removed).size());
      if (kept > 0) shape[static_cast<size_t>(axis)] = kept;
    }
  }
  return shapes;
}

int64_t CutCosts::macs(const std::map<std::string, Shape>& shapes, const Gone& gone) const {
  int64_t total = 0;
  for (const FlatNode& node : structure_.graph().nodes) {
    if (!gone.nodes.contains(node.label)) total += count_node_macs(node, shapes).value_or(0);
  }
  return total;
}

int64_t CutCosts::memory(const std::map<std::string, Shape>& shapes, const Gone& gone) const {
  std::map<std::string, size_t> last_use;
  const std::vector<FlatNode>& nodes = structure_.graph().nodes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& input : nodes[i].inputs) last_use[input] = i;
  }
  for (const std::string& output : structure_.graph().outputs) last_use[output] = nodes.size();
  const auto size_of = [&](const std::string& value) {
    const auto shape = shapes.find(value);
    if (shape == shapes.end()) return int64_t{0};
    const auto bits = element_bits_.find(value);
    return element_count(shape->second) * (bits == element_bits_.end() || bits->second == 0 ? 32 : bits->second) / 8;
  };
  int64_t alive = 0;
  for (const std::string& input : structure_.graph().inputs) alive += size_of(input);
  int64_t peak = alive;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (gone.nodes.contains(nodes[i].label)) continue;
    for (const std::string& output : nodes[i].outputs) alive += size_of(output);
    peak = std::max(peak, alive);
    std::set<std::string> ended;
    for (const std::string& value : nodes[i].inputs) {
      if (activations_.contains(value) && last_use[value] == i) ended.insert(value);
    }
    for (const std::string& value : nodes[i].outputs) {
      if (!value.empty() && !last_use.contains(value)) ended.insert(value);
    }
    for (const std::string& value : ended) alive -= size_of(value);
  }
  return peak;
}

int64_t CutCosts::elements(int id, const Removed& removed) const {
  Shape shape = file_.tensor(id).shape;
  const auto axes = cut_axes_.find(id);
  if (axes == cut_axes_.end()) return element_count(shape);
  for (const auto& [axis, group] : axes->second) {
    if (!any(removed[group])) continue;
    const auto kept = static_cast<int64_t>(structure_.kept(id, axis, removed).size());
    if (kept > 0) shape[static_cast<size_t>(axis)] = kept;
  }
  return element_count(shape);
}

int64_t CutCosts::params(const Removed& removed, const Gone& gone) const {
  int64_t total = 0;
  for (const int id : weights_) {
    if (!gone.tensors.contains(id)) total += elements(id, removed);
  }
  return total;
}

int64_t CutCosts::bytes(const Removed& removed, const Gone& gone) const {
  int64_t total = file_.size_bytes();
  const auto bytes_of = [&](int id, int64_t count) { return bytes_for(file_.tensor(id).type, count); };
  std::set<int> touched = gone.tensors;
  for (const auto& [id, axes] : cut_axes_) touched.insert(id);
  for (const int id : touched) {
    const int64_t before = bytes_of(id, element_count(file_.tensor(id).shape));
    total -= before - (gone.tensors.contains(id) ? 0 : bytes_of(id, elements(id, removed)));
  }
  return total;
}

int64_t CutCosts::cost(const std::string& kind, const Removed& removed, const Gone& gone) const {
  if (kind == "params") return params(removed, gone);
  if (kind == "bytes") return bytes(removed, gone);
  invariant(kind == "macs" || kind == "memory", "a budget of a cut is macs, params, bytes or memory");
  const auto shapes = shapes_after(removed);
  return kind == "macs" ? macs(shapes, gone) : memory(shapes, gone);
}

CutCosts::Figures CutCosts::figures(const Removed& removed, const Gone& gone) const {
  const auto shapes = shapes_after(removed);
  return {macs(shapes, gone), params(removed, gone), bytes(removed, gone), memory(shapes, gone)};
}

}  // namespace sparsify
