#pragma once

#include <memory>
#include <vector>

#include "data/loader.h"
#include "program/cursor.h"
#include "solvers/linear_site.h"

namespace sparsify {

/// The dense network and the one that is being pruned, stopped at the same place, for every batch of the calibration data.
///
/// Kept are the values that are still to be read at that place, of all batches, in both networks (for a chain of layers: one
/// activation each; in a residual block two), and nothing of what lies behind. Memory holds one batch of them and `memory` bytes
/// more; the rest is on disk until its batch is looked at.
class NetworkPair {
 public:
  ///   dense  false: only the pruned network runs
  NetworkPair(const ModelFile& file, const std::string& device, bool dense, int64_t memory = waiting_memory());

  /// 512 MiB, or as many as $SPARSIFY_WAITING_MIB says. throws ConfigError for what is no count
  static int64_t waiting_memory();

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
  at::Tensor pruned_value(size_t batch, int slot);
  at::Tensor dense_value(size_t batch, int slot);

 private:
  void look_at(size_t batch);
  void leave(size_t batch);

  int64_t memory_;
  ScratchFile disk_;  ///< before the runs, which give back what they have there
  std::unique_ptr<Program> pruned_;
  std::unique_ptr<Program> dense_;
  std::vector<std::unique_ptr<Cursor>> pruned_runs_;
  std::vector<std::unique_ptr<Cursor>> dense_runs_;
  std::vector<int64_t> held_;  ///< bytes of each batch that memory holds, when it was last left
  int64_t all_held_ = 0;
  size_t at_ = 0;  ///< batch that is looked at
  int64_t samples_ = 0;
};

}  // namespace sparsify
