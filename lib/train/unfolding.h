#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/loader.h"
#include "program/program.h"
#include "train/trainables.h"

namespace sparsify {

/// Puts the BatchNormalization that an export folded into a convolution behind it again while the graph is trained: gradients
/// then meet normalised channels, as they did when the network was first trained. It begins as the identity, on statistics
/// that are measured: scale = deviation, shift = mean. At any time W f and (b - mean) f + shift with f = scale / deviation are
/// weights of the graph as it is; the file never has another node.
///
/// For every convolution of the main graph that has a bias, weights of its own, and no BatchNormalization behind it.
class Unfolding {
 public:
  /// Adds scale and shift of each convolution to `trainables` (ids below 0: no tensors of the file).
  /// throws ConfigError if the model has no such convolution
  Unfolding(const ModelFile& file, const TrainSettings& settings, std::vector<Trainable>& trainables);
  Unfolding(const Unfolding&) = delete;
  Unfolding& operator=(const Unfolding&) = delete;

  /// Statistics of the outputs of the network as it is, over at most kMeasured batches.
  void measure(Program& program, const DataSource& data, const TrainSettings& settings, bool bfloat16, std::vector<Trainable>& trainables);

  /// For the runs of the trainer. What they hold points to this object and to `trainables`.
  void attach(RunOptions& options, const std::vector<Trainable>& trainables);

  /// The tensor of the file that this trainable stands for: folded if it is of such a convolution.
  at::Tensor folded(size_t trainable, bool averaged, const std::vector<Trainable>& trainables) const;

  void save(std::map<std::string, HostTensor>& tensors) const;
  void load(const std::map<std::string, HostTensor>& tensors);

  size_t size() const { return places_.size(); }
  static constexpr int64_t kMeasured = 16;

 private:
  struct Place {
    std::string output;  ///< of the convolution
    size_t weight = 0;   ///< indices into the trainables
    size_t bias = 0;
    size_t scale = 0;
    size_t shift = 0;
    at::Tensor mean{};   ///< [channels], running
    at::Tensor variance{};
  };

  std::vector<Place> places_;
  std::map<size_t, size_t> place_of_;  ///< trainable (weight or bias) -> index into places_
};

}  // namespace sparsify
