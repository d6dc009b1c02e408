#include "solvers/network_pair.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/interrupt.h"

namespace sparsify {

int64_t NetworkPair::waiting_memory() {
  int64_t mebibytes = 512;
  const char* text = std::getenv("SPARSIFY_WAITING_MIB");
  if (text == nullptr || *text == 0) return mebibytes << 20;
  const char* end = text + std::strlen(text);
  const auto [read, error] = std::from_chars(text, end, mebibytes);
  if (error == std::errc() && read == end && mebibytes >= 0 && mebibytes <= int64_t{1} << 30) return mebibytes << 20;
  throw ConfigError{{.what = fmt::format("\"{}\" is no count of MiB", text), .where = "$SPARSIFY_WAITING_MIB", .fix = "give the memory for activations that wait, as 64, or 0 for the disk alone"}};
}

NetworkPair::NetworkPair(const ModelFile& file, const std::string& device, bool dense, int64_t memory)
    : memory_(memory), pruned_(Program::build(file, {.device = device})), dense_(dense ? Program::build(file, {.device = device}) : nullptr) {}

const at::Tensor& NetworkPair::dense_parameter(int id) const {
  for (const Parameter& one : dense_->parameters()) {
    if (one.tensor_id == id) return one.tensor;
  }
  invariant(false, "both networks have the same parameters");
  __builtin_unreachable();
}

void NetworkPair::start(const DataSource& data, const std::vector<int>& pruned_pins, const std::vector<int>& dense_pins, int64_t limit) {
  const std::unique_ptr<DataSource::Stream> stream = data.stream({});
  while (const auto batch = stream->next()) {
    check_interrupt();
    std::vector<Value> inputs;
    for (const HostTensor& input : batch->inputs) inputs.push_back(from_host(input));
    pruned_runs_.push_back(std::make_unique<Cursor>(*pruned_, inputs, pruned_pins));
    if (dense_) dense_runs_.push_back(std::make_unique<Cursor>(*dense_, inputs, dense_pins));
    samples_ += batch->count;
    held_.push_back(0);
    at_ = held_.size() - 1;
    leave(at_);
    if (limit > 0 && samples_ >= limit) break;
  }
  if (samples_ == 0) {
    throw ResourceError{{.what = "the calibration data has no samples", .where = data.describe(), .fix = "use a data set that is not empty"}};
  }
}

void NetworkPair::stop() {
  pruned_runs_.clear();
  dense_runs_.clear();
  held_.clear();
  all_held_ = 0;
  samples_ = 0;
}

at::Tensor NetworkPair::pruned_value(size_t batch, int slot) {
  look_at(batch);
  return pruned_runs_[batch]->value(slot).tensor();
}

at::Tensor NetworkPair::dense_value(size_t batch, int slot) {
  look_at(batch);
  return dense_runs_[batch]->value(slot).tensor();
}

void NetworkPair::look_at(size_t batch) {
  if (batch == at_) return;
  leave(at_);
  at_ = batch;
}

/// Batches stay where they are: those that found room keep it, the others come and go.
void NetworkPair::leave(size_t batch) {
  std::vector<Cursor*> runs{pruned_runs_[batch].get()};
  if (dense_) runs.push_back(dense_runs_[batch].get());
  int64_t held = 0;
  for (const Cursor* run : runs) held += run->held_bytes();
  all_held_ += held - held_[batch];
  held_[batch] = held;
  if (all_held_ <= memory_) return;
  for (Cursor* run : runs) run->park(disk_);
  all_held_ -= held;
  held_[batch] = 0;
}

void NetworkPair::drop(const std::vector<int>& pruned_slots, const std::vector<int>& dense_slots) {
  for (const auto& run : pruned_runs_) {
    for (const int slot : pruned_slots) run->drop(slot);
  }
  for (const auto& run : dense_runs_) {
    for (const int slot : dense_slots) run->drop(slot);
  }
  for (size_t batch = 0; batch < held_.size(); ++batch) {
    if (held_[batch] == 0) continue;
    const int64_t held = pruned_runs_[batch]->held_bytes() + (dense_ ? dense_runs_[batch]->held_bytes() : 0);
    all_held_ += held - held_[batch];
    held_[batch] = held;
  }
}

}  // namespace sparsify
