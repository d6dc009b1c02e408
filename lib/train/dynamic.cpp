#include "train/dynamic.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argsort.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace sparsify {

double replaced_fraction(double alpha, double position) {
  return position >= 1 ? 0 : alpha / 2 * (1 + std::cos(std::numbers::pi * position));
}

at::Tensor drop_and_grow(const at::Tensor& weight, const at::Tensor& growth, const at::Tensor& kept, int64_t count) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const at::Tensor flat = kept.reshape({-1}).clone();
  const int64_t held = flat.sum().item<int64_t>();
  const at::Tensor magnitude = weight.detach().abs().reshape({-1}).masked_fill(~flat, kNever);
  const at::Tensor by_magnitude = at::argsort(magnitude, /*stable=*/true, 0, /*descending=*/true);
  flat.index_fill_(0, by_magnitude.slice(0, held - count, held), false);
  const at::Tensor wanted = growth.detach().reshape({-1}).masked_fill(flat, kNever);
  const at::Tensor by_growth = at::argsort(wanted, /*stable=*/true, 0, /*descending=*/true);
  flat.index_fill_(0, by_growth.slice(0, 0, count), true);
  return flat.reshape(kept.sizes());
}

}  // namespace sparsify
