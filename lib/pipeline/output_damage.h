#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// How far a model's outputs are from those of the dense model: needs no labels. Accumulated over batches.
class OutputDamage {
 public:
  /// The first `count` samples of a batch, outputs in graph order. Outputs that are not floating point are passed over.
  ///   throws  ShapeError when the two models' outputs have different shapes
  void add(const std::vector<HostTensor>& dense, const std::vector<HostTensor>& actual, int64_t count);

  /// Mean over positions of KL(dense || actual) = sum of p ln(p / q) in nats, of the first output read as class scores
  /// (softmax, or as it is where it is a distribution already). The class axis is the second of [n, classes] and
  /// [n, classes, ...], the last of [n, positions, classes]. nullopt for an output that has no class axis.
  std::optional<double> divergence() const;

  /// Root mean square over the outputs of ||actual - dense|| / ||dense||.
  double relative_error() const;

 private:
  void add_divergence(const HostTensor& dense, const HostTensor& actual, int64_t count);

  struct Squares {
    double difference = 0;
    double reference = 0;
  };
  std::vector<Squares> squares_;  ///< by output
  double divergence_ = 0;
  int64_t positions_ = 0;
};

}  // namespace sparsify
