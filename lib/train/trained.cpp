#include "train/trained.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "mask/tensor_globs.h"
#include "onnx/flat_graph.h"

namespace sparsify {

Freezing freezing_of(const TrainSettings& settings, const PrunableTensor& tensor) {
  Freezing found{.frozen = tensor.kind == "other"};
  for (size_t i = 0; i < settings.groups.size(); ++i) {
    const ParameterGroup& group = settings.groups[i];
    if (!matches_any(group.include, tensor)) continue;
    if (group.frozen) found = {.frozen = true, .group = static_cast<int>(i)};
    else if (group.lr) found = {};
  }
  return found;
}

std::string reason_untrained(const TrainSettings& settings, const PrunableTensor& tensor) {
  if (tensor.scale_id >= 0) return "quantised";
  const Freezing found = freezing_of(settings, tensor);
  if (!found.frozen) return "";
  return found.group < 0 ? "a constant of a formula" : fmt::format("frozen by train.groups.{}", found.group);
}

std::set<int> find_fixed_norms(const ModelFile& file, const TrainSettings& settings) {
  const bool freezes = std::any_of(settings.groups.begin(), settings.groups.end(), [](const ParameterGroup& group) { return group.frozen; });
  if (!freezes) return {};
  std::map<int, bool> frozen;
  for (const PrunableTensor& tensor : find_tensors(file)) frozen[tensor.id] = freezing_of(settings, tensor).group >= 0;
  const FlatGraph graph = flatten(file.model());
  std::map<std::string, int> ids_by_value;
  for (const FlatTensor& tensor : graph.tensors) ids_by_value.emplace(tensor.value, tensor.tensor.id);
  std::set<int> found;
  for (const FlatNode& node : graph.nodes) {
    if (node.node->op_type != "BatchNormalization" || node.inputs.size() < 5) continue;
    std::vector<int> ids;
    for (const size_t input : std::initializer_list<size_t>{1, 3, 4}) {
      const auto known = ids_by_value.find(node.inputs[input]);
      if (known != ids_by_value.end()) ids.push_back(known->second);
    }
    if (std::any_of(ids.begin(), ids.end(), [&](int id) { return frozen[id]; })) found.insert(ids.begin(), ids.end());
  }
  return found;
}

std::vector<int> find_running_statistics(const ModelFile& file) {
  const FlatGraph graph = flatten(file.model());
  std::set<std::string> names;
  for (const FlatNode& node : graph.nodes) {
    if (node.node->op_type != "BatchNormalization") continue;
    for (size_t input = 3; input < std::min<size_t>(5, node.inputs.size()); ++input) names.insert(node.inputs[input]);
  }
  std::vector<int> ids;
  for (const FlatTensor& tensor : graph.tensors) {
    if (names.contains(tensor.value) && tensor.tensor.id >= 0) ids.push_back(tensor.tensor.id);
  }
  return ids;
}

}  // namespace sparsify
