#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "train/trainer.h"

namespace sparsify {

/// The gradients behind y = f(W (.) M(S)) with the binariser M taken as straight through (Sanh et al. 2020,
/// arXiv:2005.07683, section 3): dL/dS = dL/dW' (.) W for all entries, pruned ones too (masking it would stop regrowth);
/// dL/dW = dL/dW' (.) M.
struct MovementGradients {
  at::Tensor weight;
  at::Tensor scores;
};
MovementGradients movement_gradients(const at::Tensor& weight, const at::Tensor& kept, const at::Tensor& gradient);

/// The `keep` highest scores; among equal ones the larger |weight|, then the lower index: all scores begin at 0.
at::Tensor highest_scores(const at::Tensor& scores, const at::Tensor& weight, int64_t keep);

/// Soft movement: sigmoid(S) > threshold, but at least 0.5 % of the weights and one more.
at::Tensor above_threshold(const at::Tensor& scores, const at::Tensor& weight, double threshold);

/// The fraction of weights that remain: 1 until `begin`, then cubic to `last` at `end` (progress in [0, 1]).
double remaining_fraction(double progress, double begin, double end, double last);

}  // namespace sparsify
