#include "train/movement.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

namespace sparsify {

MovementGradients movement_gradients(const at::Tensor& weight, const at::Tensor& kept, const at::Tensor& gradient) {
  return {.weight = gradient.masked_fill(~kept, 0), .scores = gradient * weight.detach()};
}

at::Tensor highest_scores(const at::Tensor& scores, const at::Tensor& weight, int64_t keep) {
  const at::Tensor flat = scores.detach().reshape({-1});
  const at::Tensor by_weight = at::argsort(weight.detach().abs().reshape({-1}), /*stable=*/true, 0, /*descending=*/true);
  const at::Tensor by_score = at::argsort(flat.index_select(0, by_weight), /*stable=*/true, 0, /*descending=*/true);
  const at::Tensor chosen = by_weight.index_select(0, by_score.slice(0, 0, keep));
  at::Tensor kept = at::zeros_like(flat, flat.options().dtype(at::kBool));
  kept.index_fill_(0, chosen, true);
  return kept.reshape(scores.sizes());
}

at::Tensor above_threshold(const at::Tensor& scores, const at::Tensor& weight, double threshold) {
  const at::Tensor kept = at::sigmoid(scores.detach()).gt(threshold);
  const int64_t least = std::min(scores.numel(), scores.numel() / 200 + 1);
  return kept.sum().item<int64_t>() >= least ? kept : highest_scores(scores, weight, least);
}

double remaining_fraction(double progress, double begin, double end, double last) {
  if (progress <= begin) return 1;
  if (progress >= end) return last;
  const double left = 1 - (progress - begin) / (end - begin);
  return last + (1 - last) * left * left * left;
}

}  // namespace sparsify
