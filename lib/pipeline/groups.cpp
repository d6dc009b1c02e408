#include "pipeline/groups.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/names.h"

namespace sparsify {

GroupReport report_groups(const ModelFile& file, const std::map<std::string, Shape>& inputs) {
  GroupReport report;
  report.groups = Structure::analyse(file, {.inputs = inputs}).groups();
  std::map<int, std::set<int>> groups_of;
  for (const Group& group : report.groups) {
    for (const Member& member : group.members) groups_of[member.tensor_id].insert(group.id);
  }
  std::vector<PrunableTensor> tensors = find_tensors(file);
  std::set<int> by_default;
  try {
    for (const Selected& one : select_tensors(tensors, {PruneRule{}}).selected) by_default.insert(one.tensor.id);
  } catch (const ConfigError&) {  // nothing is prunable by default
  }
  for (PrunableTensor& tensor : tensors) {
    if (tensor.kind != "weight") continue;
    GroupedWeight weight;
    for (const int id : groups_of[tensor.id]) {
      weight.groups.push_back(id);
      weight.cuttable = weight.cuttable || report.groups[static_cast<size_t>(id)].is_cuttable();
    }
    report.prunable += tensor.count();
    if (weight.cuttable) report.cuttable += tensor.count();
    if (by_default.contains(tensor.id)) {
      report.default_prunable += tensor.count();
      if (weight.cuttable) report.default_cuttable += tensor.count();
    }
    weight.tensor = std::move(tensor);
    report.weights.push_back(std::move(weight));
  }
  return report;
}

std::vector<GroupedWeight> weights_of_layer(const GroupReport& report, const std::string& name) {
  std::vector<GroupedWeight> found;
  std::vector<std::string> names;
  for (const GroupedWeight& weight : report.weights) {
    std::vector<std::string> own = weight.tensor.used_by;
    own.push_back(weight.tensor.initializer);
    for (const int id : weight.groups) own.push_back(report.groups[static_cast<size_t>(id)].name);
    const bool matches = std::any_of(own.begin(), own.end(), [&](const std::string& one) { return one == name || glob_match(name, one); });
    if (matches) found.push_back(weight);
    names.push_back(weight.tensor.layer);
    if (weight.tensor.initializer != weight.tensor.layer) names.push_back(weight.tensor.initializer);
  }
  if (found.empty()) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    throw ConfigError{{.what = fmt::format("no layer is named \"{}\"", name), .where = "LAYER", .fix = suggest(name, names)}};
  }
  return found;
}

std::string to_text(const Freeze& freeze) {
  if (freeze.node.empty()) return freeze.reason;
  return fmt::format("{} \"{}\": {}", freeze.op, freeze.node, freeze.reason);
}

}  // namespace sparsify
