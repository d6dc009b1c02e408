#include "sparsify/group_json.h"

#include <nlohmann/json.hpp>

namespace sparsify {

using Json = nlohmann::ordered_json;

const char* role_text(Role role) {
  switch (role) {
    case Role::Output: return "output";
    case Role::Input: return "input";
    case Role::Vector: return "vector";
    case Role::Passive: return "passive";
  }
  return "";
}

Json to_json(const Group& group) {
  Json members = Json::array();
  for (const Member& member : group.members) {
    size_t indices = 0;
    for (const std::vector<int64_t>& unit : member.indices) indices += unit.size();
    members.push_back({{"tensor", member.tensor}, {"axis", member.axis}, {"role", role_text(member.role)}, {"indices", indices}});
  }
  Json values = Json::array();
  for (const ValueAxis& value : group.values) values.push_back({{"value", value.value}, {"axis", value.axis}});
  Json frozen = Json::array();
  for (const Freeze& freeze : group.frozen) {
    frozen.push_back({{"node", freeze.node}, {"op", freeze.op}, {"reason", freeze.reason}, {"fix", freeze.fix}});
  }
  return {{"id", group.id}, {"name", group.name}, {"kind", group.kind}, {"units", group.units}, {"free_units", group.free_units()},
          {"cuttable", group.is_cuttable()}, {"members", members}, {"values", values}, {"frozen", frozen}};
}

Json to_json(const GroupReport& report) {
  Json groups = Json::array();
  for (const Group& group : report.groups) groups.push_back(to_json(group));
  Json stuck = Json::array();
  for (const GroupedWeight& weight : report.weights) {
    if (weight.cuttable) continue;
    Json reasons = Json::array();
    for (const int id : weight.groups) {
      for (const Freeze& freeze : report.groups[static_cast<size_t>(id)].frozen) reasons.push_back(to_text(freeze));
    }
    stuck.push_back({{"name", weight.tensor.layer}, {"initializer", weight.tensor.initializer}, {"params", weight.tensor.count()}, {"reasons", reasons}});
  }
  return {{"groups", groups}, {"prunable", report.prunable}, {"cuttable", report.cuttable}, {"share", report.share()},
          {"default_prunable", report.default_prunable}, {"default_cuttable", report.default_cuttable}, {"stuck", stuck}};
}

}  // namespace sparsify
