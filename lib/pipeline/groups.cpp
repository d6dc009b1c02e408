#include "pipeline/groups.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "mask/weight_kind.h"
#include "pipeline/single_units.h"

namespace sparsify {

std::vector<Group> single_units(const std::vector<PrunableTensor>& tensors, const std::vector<Group>& listed) {
  std::set<std::string> names;
  std::set<std::pair<int, int>> axes;  // (tensor, axis)
  for (const Group& group : listed) {
    names.insert(group.name);
    for (const Member& member : group.members) axes.emplace(member.tensor_id, member.axis);
  }
  std::vector<Group> groups;
  for (const PrunableTensor& tensor : tensors) {
    if (!is_weight(tensor) || tensor.output_axis < 0 || tensor.groups > 1 || tensor.shape[static_cast<size_t>(tensor.output_axis)] != 1) continue;
    if (axes.contains({tensor.id, tensor.output_axis})) continue;
    Group group{.id = static_cast<int>(listed.size() + groups.size()), .name = tensor.layer, .kind = "channel", .units = 1, .unit_frozen = {true}, .members = {}, .values = {}, .frozen = {}};
    for (int copy = 2; !names.insert(group.name).second; ++copy) group.name = fmt::format("{}:{}", tensor.layer, copy);
    group.members.push_back({tensor.id, tensor.initializer, tensor.output_axis, Role::Output, {std::vector<int64_t>{0}}});
    group.frozen.push_back({.node = "", .op = "", .reason = "it has a single unit", .fix = "nothing: without it the layer would be empty"});
    groups.push_back(std::move(group));
  }
  return groups;
}

GroupReport report_groups(const ModelFile& file, const std::map<std::string, Shape>& inputs) {
  GroupReport report;
  report.groups = Structure::analyse(file, {.inputs = inputs}).groups();
  std::vector<PrunableTensor> tensors = find_tensors(file);
  for (Group& group : single_units(tensors, report.groups)) report.groups.push_back(std::move(group));
  std::map<int, std::set<int>> groups_of;
  for (const Group& group : report.groups) {
    for (const Member& member : group.members) groups_of[member.tensor_id].insert(group.id);
  }
  std::set<int> by_default;
  try {
    for (const Selected& one : select_tensors(tensors, {PruneRule{}}).selected) by_default.insert(one.tensor.id);
  } catch (const ConfigError&) {  // nothing is prunable by default
  }
  for (PrunableTensor& tensor : tensors) {
    GroupedWeight weight;
    for (const int id : groups_of[tensor.id]) {
      weight.groups.push_back(id);
      weight.cuttable = weight.cuttable || report.groups[static_cast<size_t>(id)].is_cuttable();
    }
    if (!is_weight(tensor)) {
      weight.tensor = std::move(tensor);
      report.others.push_back(std::move(weight));
      continue;
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
  for (const auto* list : {&report.weights, &report.others}) {
    std::copy_if(list->begin(), list->end(), std::back_inserter(found), [&](const GroupedWeight& weight) {
      const std::vector<std::string>& users = weight.tensor.used_by;
      return weight.tensor.initializer == name || weight.tensor.layer == name || std::find(users.begin(), users.end(), name) != users.end();
    });
    if (!found.empty()) return found;  // a group has the name of its first layer: who asks for the layer gets that
    for (const GroupedWeight& weight : *list) {
      std::vector<std::string> own = weight.tensor.used_by;
      own.push_back(weight.tensor.initializer);
      for (const int id : weight.groups) own.push_back(report.groups[static_cast<size_t>(id)].name);
      const bool matches = std::any_of(own.begin(), own.end(), [&](const std::string& one) { return one == name || glob_match(name, one); });
      if (matches) found.push_back(weight);
      for (const std::string& one : {weight.tensor.layer, weight.tensor.initializer}) {
        if (!one.empty()) names.push_back(one);
      }
    }
    if (!found.empty()) return found;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  throw ConfigError{{.what = fmt::format("no layer is named \"{}\"", name), .where = "LAYER", .fix = suggest(name, names)}};
}

std::string to_text(const Freeze& freeze) {
  if (freeze.node.empty()) return freeze.reason;
  return fmt::format("{} \"{}\": {}", freeze.op, freeze.node, freeze.reason);
}

}  // namespace sparsify
