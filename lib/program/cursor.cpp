#include "program/cursor.h"

#include <c10/core/InferenceMode.h>

#include "base/error.h"

namespace sparsify {
namespace {

/// Own slots that a step or its subgraphs read, each once.
std::set<int> read_by(const Step& step) {
  std::set<int> slots;
  for (const SlotRef ref : step.inputs) {
    if (ref.index >= 0 && ref.depth == 0) slots.insert(ref.index);
  }
  for (const SlotRef ref : step.captured) {
    if (ref.index >= 0 && ref.depth == 0) slots.insert(ref.index);
  }
  return slots;
}

}  // namespace

Cursor::Cursor(const Program& program, const std::vector<Value>& inputs, const std::vector<int>& pinned)
    : stored_(program.stored_values()),
      context_{&program.file(), &stored_, program.device(), /*training=*/false, /*seed=*/0},
      frame_{&program.plan(), nullptr, std::vector<Value>(program.plan().slot_names.size())},
      executor_(std::make_unique<Executor>(context_, frame_)),
      producer_(frame_.slots.size(), -1),
      readers_(frame_.slots.size(), 0),
      done_(program.plan().steps.size(), false),
      pinned_(pinned.begin(), pinned.end()) {
  const c10::InferenceMode inference;
  program.check_inputs(inputs);
  executor_->load_constants();
  const Plan& plan = *frame_.plan;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool floats = inputs[i].is_tensor() && inputs[i].tensor().is_floating_point();
    frame_.slots[static_cast<size_t>(plan.inputs[i])] =
        floats ? Value(inputs[i].tensor().to(context_.device), inputs[i].type()) : inputs[i];
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    for (const int slot : plan.steps[i].outputs) {
      if (slot >= 0) producer_[static_cast<size_t>(slot)] = static_cast<int>(i);
    }
    for (const int slot : read_by(plan.steps[i])) ++readers_[static_cast<size_t>(slot)];
  }
}

const Value& Cursor::value(int slot) {
  const c10::InferenceMode inference;
  std::set<size_t> needed;  // in the order of the plan, which is topological
  std::vector<int> open{slot};
  while (!open.empty()) {
    const int producer = producer_[static_cast<size_t>(open.back())];
    open.pop_back();
    if (producer < 0 || done_[static_cast<size_t>(producer)] || !needed.insert(static_cast<size_t>(producer)).second) continue;
    for (const int read : read_by(frame_.plan->steps[static_cast<size_t>(producer)])) open.push_back(read);
  }
  pinned_.insert(slot);  // not to be freed by what runs now
  for (const size_t step : needed) run(step);
  pinned_.erase(pinned_.find(slot));
  const Value& value = frame_.slots[static_cast<size_t>(slot)];
  invariant(!value.empty(), "a value that a cursor is asked for is pinned or still to be read");
  return value;
}

void Cursor::run(size_t index) {
  const Step& step = frame_.plan->steps[index];
  executor_->run_step(step);
  done_[index] = true;
  for (const int slot : read_by(step)) {
    --readers_[static_cast<size_t>(slot)];
    release_if_done(slot);
  }
  for (const int slot : step.outputs) {
    if (slot >= 0) release_if_done(slot);
  }
}

void Cursor::drop(int slot) {
  const auto found = pinned_.find(slot);
  if (found != pinned_.end()) pinned_.erase(found);
  release_if_done(slot);
}

void Cursor::release_if_done(int slot) {
  if (readers_[static_cast<size_t>(slot)] == 0 && !pinned_.contains(slot)) frame_.slots[static_cast<size_t>(slot)] = Value();
}

}  // namespace sparsify
