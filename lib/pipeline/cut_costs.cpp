#include "pipeline/cut_costs.h"

#include <algorithm>

#include "base/error.h"
#include "onnx/checker.h"
#include "pipeline/figures.h"
#include "pipeline/node_macs.h"

namespace sparsify {
namespace {

bool any(const std::vector<bool>& units) { return std::find(units.begin(), units.end(), true) != units.end(); }

}  // namespace

CutCosts::CutCosts(const ModelFile& file, const Structure& structure, const std::map<std::string, Shape>& inputs)
    : file_(file), structure_(structure), shapes_(known_shapes(file, inputs)), batch_(batch_of(file, inputs)) {
  for (const auto& [name, info] : infer_shapes(file)) element_bits_[name] = bits_of(info.type);
  add_analysed_shapes_(structure, shapes_);
  activations_.insert(structure.graph().inputs.begin(), structure.graph().inputs.end());
  for (const FlatNode& node : structure.graph().nodes) {
    activations_.insert(node.outputs.begin(), node.outputs.end());
    if (multiplies(*node.node)) products_.push_back(&node);
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
  for (const FlatNode* node : products_) {
    if (!gone.nodes.contains(node->label)) total += count_node_macs(*node, shapes).value_or(0);
  }
  return of_one_sample(total, batch_);
}

std::vector<std::string> CutCosts::uncounted() const { return count_macs(structure_.graph(), shapes_, batch_).unknown; }

size_t CutCosts::unsized() const {
  return static_cast<size_t>(std::count_if(activations_.begin(), activations_.end(), [&](const std::string& value) { return !value.empty() && !shapes_.contains(value); }));
}

void CutCosts::walk_memory(const std::map<std::string, Shape>& shapes, const Gone& gone, const AtNode& at_node) const {
  const auto size_of = [&](const std::string& value) {
    const auto shape = shapes.find(value);
    if (shape == shapes.end()) return int64_t{0};
    const auto bits = element_bits_.find(value);
    return element_count(shape->second) * (bits == element_bits_.end() || bits->second == 0 ? 32 : bits->second) / 8;
  };
  const auto read_as = [&](std::string value) {
    for (auto other = gone.renamed.find(value); other != gone.renamed.end(); other = gone.renamed.find(value)) value = other->second;
    return value;
  };
  const std::vector<FlatNode>& nodes = structure_.graph().nodes;
  std::map<std::string, size_t> last_use;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (gone.nodes.contains(nodes[i].label)) continue;
    for (const std::string& input : nodes[i].inputs) {
      const std::string value = read_as(input);
      if (activations_.contains(value)) last_use[value] = i;
    }
  }
  for (const std::string& output : structure_.graph().outputs) last_use[read_as(output)] = nodes.size();
  std::set<std::string> alive(structure_.graph().inputs.begin(), structure_.graph().inputs.end());
  int64_t bytes = 0;
  for (const std::string& input : alive) bytes += size_of(input);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (gone.nodes.contains(nodes[i].label)) continue;
    for (const std::string& output : nodes[i].outputs) {
      if (!output.empty() && alive.insert(output).second) bytes += size_of(output);
    }
    at_node(nodes[i], bytes, alive);
    const auto end = [&](const std::string& value) {
      if (alive.erase(value) > 0) bytes -= size_of(value);
    };
    for (const std::string& input : nodes[i].inputs) {
      const auto last = last_use.find(read_as(input));
      if (last != last_use.end() && last->second == i) end(last->first);
    }
    for (const std::string& value : nodes[i].outputs) {
      if (!last_use.contains(value)) end(value);
    }
  }
}

MemoryPeaks CutCosts::peaks_above(int64_t limit, const Removed& removed, const Gone& gone) const {
  MemoryPeaks peaks;
  walk_memory(shapes_after(removed), gone, [&](const FlatNode&, int64_t bytes, const std::set<std::string>& alive) {
    if (bytes <= limit) return;
    ++peaks.nodes;
    peaks.values.insert(alive.begin(), alive.end());
  });
  return peaks;
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
  const auto shapes = shapes_after(removed);
  if (kind == "macs") return macs(shapes, gone);
  invariant(kind == "memory" || kind == "activations", "a budget of a cut is macs, params, bytes or memory");
  int64_t total = 0;
  walk_memory(shapes, gone, [&](const FlatNode&, int64_t bytes, const std::set<std::string>&) { total = kind == "memory" ? std::max(total, bytes) : total + bytes; });
  return total;
}

CutCosts::Figures CutCosts::figures(const Removed& removed, const Gone& gone) const {
  return {cost("macs", removed, gone), params(removed, gone), bytes(removed, gone), cost("memory", removed, gone)};
}

}  // namespace sparsify
