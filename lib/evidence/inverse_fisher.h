#pragma once

#include <span>
#include <vector>

#include "mask/prunable.h"

namespace sparsify {

/// (lambda I + 1/N sum of g g^T)^-1 of one weight by the recursion of WoodFisher (Singh & Alistarh 2020, arXiv:2004.14340,
/// eq. 6): F_{n+1}^-1 = F_n^-1 - (F_n^-1 g)(F_n^-1 g)^T / (N + g^T F_n^-1 g), from F_0^-1 = I / lambda. Block-diagonal:
/// a block is up to `block` consecutive columns of one output channel, so that blocks do not depend on the stored layout
/// of the channels. Memory: 8 x block bytes a weight.
class InverseFisher {
 public:
  /// `block` 0: a whole output channel is one block. `gradients` is N, the number of add() calls to come.
  InverseFisher(const PrunableTensor& layer, int64_t block, double damping, int64_t gradients);

  /// [weights] in the stored layout.
  void add(std::span<const double> gradient);
  /// [weights] in the stored layout.
  std::vector<double> diagonal() const;

 private:
  struct Block {
    std::vector<int64_t> weights;  ///< flat indices
    std::vector<double> inverse;   ///< [weights, weights]
  };

  int64_t count_;
  double gradients_;
  std::vector<Block> blocks_;
  std::vector<double> own_;      ///< the gradient of one block
  std::vector<double> product_;  ///< F^-1 g
};

}  // namespace sparsify
