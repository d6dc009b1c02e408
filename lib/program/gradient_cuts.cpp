#include "program/gradient_cuts.h"

#include <algorithm>
#include <map>
#include <set>

#include "program/plan.h"

namespace sparsify {
namespace {

template <class Action>
void for_own_inputs(const Step& step, Action action) {
  for (const auto* refs : {&step.inputs, &step.captured}) {
    for (const SlotRef ref : *refs) {
      if (ref.depth == 0 && ref.index >= 0) action(ref.index);
    }
  }
}

/// Slots from which a gradient comes back to what the steps before `end` read, from these slots on.
std::vector<bool> reached_backwards(const Plan& plan, size_t end, const std::vector<int>& from) {
  std::vector<bool> reached(plan.slot_names.size());
  for (const int slot : from) reached[static_cast<size_t>(slot)] = true;
  for (size_t i = end; i-- > 0;) {
    const Step& step = plan.steps[i];
    if (step.op->gradient == Gradient::No) continue;
    const bool asked = std::any_of(step.outputs.begin(), step.outputs.end(),
                                   [&](int slot) { return slot >= 0 && reached[static_cast<size_t>(slot)]; });
    if (asked) for_own_inputs(step, [&](int slot) { reached[static_cast<size_t>(slot)] = true; });
  }
  return reached;
}

}  // namespace

GradientEnds find_gradient_ends(const Plan& plan) {
  std::map<int, std::string> weights;  // slot -> name
  std::vector<bool> carries(plan.slot_names.size());  // a gradient could come back through the slot to a weight
  for (const auto& [slot, tensor] : plan.stored) {
    if (!is_prunable_float(tensor.type)) continue;
    weights.emplace(slot, tensor.name);
    carries[static_cast<size_t>(slot)] = true;
  }
  std::vector<size_t> cutting;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    bool depends = false;
    for_own_inputs(step, [&](int slot) { depends = depends || carries[static_cast<size_t>(slot)]; });
    if (!depends) continue;
    if (step.op->gradient == Gradient::No) {
      // A shape never had a gradient to lose.
      if (step.node->op_type != "Shape" && step.node->op_type != "Size") cutting.push_back(i);
      continue;
    }
    for (const int slot : step.outputs) {
      if (slot >= 0) carries[static_cast<size_t>(slot)] = true;
    }
  }
  if (cutting.empty()) return {};

  std::vector<int> outputs;
  for (const SlotRef ref : plan.outputs) {
    if (ref.depth == 0) outputs.push_back(ref.index);
  }
  const std::vector<bool> has_gradient = reached_backwards(plan, plan.steps.size(), outputs);
  const bool all_have = std::all_of(weights.begin(), weights.end(), [&](const auto& one) { return has_gradient[static_cast<size_t>(one.first)]; });
  GradientEnds ends;
  for (const size_t i : cutting) {
    const Step& step = plan.steps[i];
    ends.cuts.push_back({step.node->outputs.empty() ? "" : step.node->outputs.front(), step.node->label(), step.node->op_type,
                         step.op->notes.empty() ? "not differentiable" : step.op->notes});
    std::vector<std::string>& cut_off = ends.weights.emplace_back();
    if (!all_have) {
      std::vector<int> behind;
      for_own_inputs(step, [&](int slot) { behind.push_back(slot); });
      const std::vector<bool> reached = reached_backwards(plan, i, behind);
      for (const auto& [slot, name] : weights) {
        if (reached[static_cast<size_t>(slot)] && !has_gradient[static_cast<size_t>(slot)]) cut_off.push_back(name);
      }
    }
  }
  return ends;
}

}  // namespace sparsify
