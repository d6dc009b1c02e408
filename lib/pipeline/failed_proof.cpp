#include "pipeline/failed_proof.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/names.h"
#include "base/plugin_call.h"

namespace sparsify {
namespace {

std::string quoted(const std::string& name) { return "\"" + name + "\""; }

const FlatNode* node_at(const FlatGraph& graph, const std::string& where) {
  const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const FlatNode& node) { return where.starts_with("node " + quoted(node.node->label())); });
  return found == graph.nodes.end() ? nullptr : &*found;
}

/// `--exclude "a" --exclude "b"`: what the failed checks name, or all of what was removed.
std::string what_to_exclude(const RunReport& report) {
  constexpr size_t kShown = 3;
  std::vector<std::string> named, all;
  for (const GroupRow& group : report.groups) {
    const bool is_named = std::any_of(report.verification.begin(), report.verification.end(), [&](const VerificationResult& check) {
      return !check.passed && check.detail.find(quoted(group.name)) != std::string::npos;
    });
    (is_named ? named : all).push_back("--exclude " + quoted(group.name));
  }
  if (!named.empty()) return "Until it is mended leave out what is named there: " + join(named, " ");
  if (all.size() <= kShown) return "Until it is mended leave out what was cut: " + join(all, " ");
  return fmt::format("Until it is mended leave out some of the {} groups that were cut (the report lists them), until the rest passes: {} ...", all.size(), all.front());
}

}  // namespace

std::vector<std::string> removed_at(const CutPlan& plan, const std::string& where) {
  const FlatNode* node = plan.structure == nullptr ? nullptr : node_at(plan.structure->graph(), where);
  if (node == nullptr) return {};
  std::set<std::string> values(node->inputs.begin(), node->inputs.end());
  values.insert(node->outputs.begin(), node->outputs.end());
  std::set<int> tensors;
  for (const FlatTensor& tensor : plan.structure->graph().tensors) {
    if (values.contains(tensor.value)) tensors.insert(tensor.tensor.id);
  }
  std::vector<std::string> names;
  for (const Group& group : plan.structure->groups()) {
    const std::vector<bool>& removed = plan.removed[static_cast<size_t>(group.id)];
    if (std::find(removed.begin(), removed.end(), true) == removed.end()) continue;
    const bool is_there = std::any_of(group.values.begin(), group.values.end(), [&](const ValueAxis& value) { return values.contains(value.value); }) ||
                          std::any_of(group.members.begin(), group.members.end(), [&](const Member& member) { return tensors.contains(member.tensor_id); });
    if (is_there) names.push_back(group.name);
  }
  for (const Block& block : plan.blocks) {
    if (values.contains(block.output) || values.contains(block.shortcut)) names.push_back(block.name);
  }
  return names;
}

std::string failure_of_run(const Problem& problem, const CutPlan* plan) {
  std::vector<std::string> names;
  if (plan != nullptr) {
    for (const std::string& name : removed_at(*plan, problem.where)) names.push_back(quoted(name));
  }
  return fmt::format("{} (at {}{}{})", problem.what, problem.where, names.empty() ? "" : "; removed there: ", join(names));
}

Problem problem_of_failure(const RunReport& report, const std::string& folder) {
  std::vector<std::string> gates, checks;
  for (const GateResult& gate : report.gates) {
    if (!gate.passed) gates.push_back("gate " + gate.name);
  }
  for (const VerificationResult& check : report.verification) {
    if (!check.passed) checks.push_back("verification " + check.check);
  }
  std::vector<std::string> failed = gates;
  failed.insert(failed.end(), checks.begin(), checks.end());
  std::string fix = "prune less, choose other layers, or change the gate; the report there has the numbers";
  if (!checks.empty()) {
    fix = has_user_plugins() && report.groups.empty() ? "mend the plugin if it made what failed (docs/plugins.md); otherwise report it, with report.json and recipe.yaml of that folder"
                                                      : fmt::format("this is a fault of {}, not of the model or the recipe: please report it, with report.json and recipe.yaml of that folder",
                      report.groups.empty() ? "this program" : "the cut");
    if (!report.groups.empty()) fix += ". " + what_to_exclude(report);
  }
  return {.what = "no model was written: " + join(failed) + " failed", .where = folder, .fix = fix};
}

}  // namespace sparsify
