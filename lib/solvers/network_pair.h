#pragma once

#include <memory>
#include <vector>

#include "data/loader.h"
#include "program/cursor.h"
#include "solvers/linear_site.h"

namespace sparsify {

/// The dense network and the one that is being pruned, stopped at the same place, for every batch of the calibration data.
///
/// Memory: the values that are still to be read at that place, of all batches, in both networks (for a chain of layers: one
/// activation each; in a residual block two), and nothing of what lies behind.
class NetworkPair {
 public:
  ///   dense  false: only the pruned network runs
  NetworkPair(const ModelFile& file, const std::string& device, bool dense);

  Program& pruned() const { return *pruned_; }
  /// A weight of the dense network.
  const at::Tensor& dense_parameter(int id) const;
  /// `pinned`: slots whose values stay until drop(). throws ResourceError when the data is empty
  ///   limit  stops after the batch with which so many samples are reached; 0 = all
  void start(const DataSource& data, const std::vector<int>& pruned_pins, const std::vector<int>& dense_pins, int64_t limit = 0);
  /// Forgets all values; the weights stay.
  void stop();
  void drop(const std::vector<int>& pruned_slots, const std::vector<int>& dense_slots);

  size_t batches() const { return pruned_runs_.size(); }
  int64_t samples() const { return samples_; }
  at::Tensor pruned_value(size_t batch, int slot) { return pruned_runs_[batch]->value(slot).tensor(); }
  at::Tensor dense_value(size_t batch, int slot) { return dense_runs_[batch]->value(slot).tensor(); }

 private:
  std::unique_ptr<Program> pruned_;
  std::unique_ptr<Program> dense_;
  std::vector<std::unique_ptr<Cursor>> pruned_runs_;
  std::vector<std::unique_ptr<Cursor>> dense_runs_;
  int64_t samples_ = 0;
};

}  // namespace sparsify
