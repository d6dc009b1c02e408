#include "solvers/network_pair.h"

#include "base/error.h"
#include "base/interrupt.h"

namespace sparsify {

NetworkPair::NetworkPair(const ModelFile& file, const std::string& device, bool dense)
    : pruned_(Program::build(file, {.device = device})), dense_(dense ? Program::build(file, {.device = device}) : nullptr) {}

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
    if (limit > 0 && samples_ >= limit) break;
  }
  if (samples_ == 0) {
    throw ResourceError{{.what = "the calibration data has no samples", .where = data.describe(), .fix = "use a data set that is not empty"}};
  }
}

void NetworkPair::stop() {
  pruned_runs_.clear();
  dense_runs_.clear();
  samples_ = 0;
}

void NetworkPair::drop(const std::vector<int>& pruned_slots, const std::vector<int>& dense_slots) {
  for (const auto& run : pruned_runs_) {
    for (const int slot : pruned_slots) run->drop(slot);
  }
  for (const auto& run : dense_runs_) {
    for (const int slot : dense_slots) run->drop(slot);
  }
}

}  // namespace sparsify
