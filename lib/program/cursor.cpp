#include "program/cursor.h"

#include <ATen/ops/empty_strided.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

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

Cursor::~Cursor() {
  for (const auto& [slot, parked] : parked_) parked.disk->free(parked.place, parked.bytes);
}

const Value& Cursor::value(int slot) {
  const c10::InferenceMode inference;
  take_back();
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
  if (readers_[static_cast<size_t>(slot)] > 0 || pinned_.contains(slot)) return;
  frame_.slots[static_cast<size_t>(slot)] = Value();
  const auto found = parked_.find(slot);
  if (found == parked_.end()) return;
  found->second.disk->free(found->second.place, found->second.bytes);
  parked_.erase(found);
}

bool Cursor::can_park(int slot) const {
  const Value& value = frame_.slots[static_cast<size_t>(slot)];
  const std::vector<int>& inputs = frame_.plan->inputs;
  const bool own = producer_[static_cast<size_t>(slot)] >= 0 || std::find(inputs.begin(), inputs.end(), slot) != inputs.end();
  return own && value.is_tensor() && !value.straight_through().defined() && value.tensor().is_cpu() && value.tensor().is_non_overlapping_and_dense();
}

int64_t Cursor::held_bytes() const {
  int64_t bytes = 0;
  for (size_t slot = 0; slot < frame_.slots.size(); ++slot) {
    if (can_park(static_cast<int>(slot))) bytes += static_cast<int64_t>(frame_.slots[slot].tensor().nbytes());
  }
  return bytes;
}

void Cursor::park(ScratchFile& disk) {
  for (size_t i = 0; i < frame_.slots.size(); ++i) {
    const int slot = static_cast<int>(i);
    if (!can_park(slot)) continue;
    if (!parked_.contains(slot)) {
      const at::Tensor& tensor = frame_.slots[i].tensor();
      const auto bytes = static_cast<int64_t>(tensor.nbytes());
      const int64_t place = disk.put({static_cast<const std::byte*>(tensor.const_data_ptr()), static_cast<size_t>(bytes)});
      parked_.emplace(slot, Parked{&disk, place, bytes, tensor.sizes().vec(), tensor.strides().vec(), tensor.options(), frame_.slots[i].type()});
    }
    frame_.slots[i] = Value();
  }
}

void Cursor::take_back() {
  for (const auto& [slot, parked] : parked_) {
    Value& value = frame_.slots[static_cast<size_t>(slot)];
    if (!value.empty()) continue;
    const at::Tensor tensor = at::empty_strided(parked.sizes, parked.strides, parked.options);
    parked.disk->get(parked.place, {static_cast<std::byte*>(tensor.mutable_data_ptr()), static_cast<size_t>(parked.bytes)});
    value = Value(tensor, parked.type);
  }
}

}  // namespace sparsify
