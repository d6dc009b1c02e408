#include "program/schedule.h"

#include <algorithm>
#include <set>

#include "program/bfloat16.h"

namespace sparsify {

at::Tensor operand(const Frame& frame, int slot, bool bfloat16) { return in_precision(frame.slots[static_cast<size_t>(slot)].tensor(), bfloat16); }

Value result_of(const at::Tensor& result) { return result.scalar_type() == at::kBFloat16 ? Value::of_rounded(result) : Value(result); }

bool is_operator(const Work& work, std::string_view op) {
  return !work.kernel && work.step->node->domain.empty() && work.step->node->op_type == op;
}

int slot_of(const Step& step, size_t input) {
  return input < step.inputs.size() && step.inputs[input].depth == 0 ? step.inputs[input].index : -1;
}

Schedule make_schedule(const Plan& plan, const Learned& learned) {
  Schedule schedule;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (learned.known[i]) continue;
    const Step& step = plan.steps[i];
    Work work;
    work.step = &step;
    const auto read = [&work](SlotRef ref) {
      if (ref.depth == 0 && ref.index >= 0) work.reads.push_back(ref.index);
    };
    for (const SlotRef ref : step.inputs) read(ref);
    for (const SlotRef ref : step.captured) read(ref);
    for (const int slot : step.outputs) {
      if (slot >= 0) work.writes.push_back(slot);
    }
    schedule.works.push_back(std::move(work));
  }
  return schedule;
}

void finish(Schedule& schedule, const Plan& plan, Learned& learned, const std::vector<bool>& keep) {
  constexpr int kNever = -1;
  const auto kept = [&keep](int slot) { return !keep.empty() && keep[static_cast<size_t>(slot)]; };
  std::vector<int> last(plan.slot_names.size(), kNever);
  std::set<int> read;
  for (size_t i = 0; i < schedule.works.size(); ++i) {
    for (const int slot : schedule.works[i].reads) {
      last[static_cast<size_t>(slot)] = static_cast<int>(i);
      read.insert(slot);
    }
    for (const int slot : schedule.works[i].writes) last[static_cast<size_t>(slot)] = static_cast<int>(i);
  }
  for (const SlotRef ref : plan.outputs) {
    if (ref.depth != 0) continue;
    last[static_cast<size_t>(ref.index)] = kNever;
    read.insert(ref.index);
  }
  for (size_t slot = 0; slot < last.size(); ++slot) {
    if (kept(static_cast<int>(slot))) {
      read.insert(static_cast<int>(slot));
    } else if (last[slot] != kNever) {
      schedule.works[static_cast<size_t>(last[slot])].release.push_back(static_cast<int>(slot));
    }
  }
  for (Work& work : schedule.works) {
    if (work.kernel) work.kernel->inputs_end(work.release);
  }
  std::set<int> placed;
  for (const auto& [slot, value] : schedule.values) placed.insert(slot);
  for (auto& [slot, value] : learned.made) {
    if (read.contains(slot) && !placed.contains(slot)) schedule.values.emplace_back(slot, std::move(value));
  }
  for (size_t i = 0; i < plan.stored.size(); ++i) {
    if (read.contains(plan.stored[i].first)) schedule.stored.push_back(static_cast<int>(i));
  }
  for (size_t i = 0; i < plan.constants.size(); ++i) {
    if (read.contains(plan.constants[i].first)) schedule.constants.push_back(static_cast<int>(i));
  }
}

}  // namespace sparsify
