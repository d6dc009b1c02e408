// LpNormalization and MeanVarianceNormalization: normalisation without parameters.
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>

#include <fmt/core.h>

#include "program/op.h"

namespace sparsify {
namespace {

/// A vector of zeros stays one.
void lp_normalization(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", -1), x.dim());
  const int64_t p = call.attribute("p", 2);
  if (p != 1 && p != 2) call.fail(fmt::format("p is {}", p), "LpNormalization has the norms 1 and 2");
  const at::Tensor norm = at::linalg_vector_norm(x, p, axis, /*keepdim=*/true);
  call.set_like_input(0, x / at::where(norm == 0, at::ones_like(norm), norm));
}

/// (x - E[x]) / (sqrt(E[x^2] - E[x]^2) + 1e-9) as in the function body, with the variance from the differences, which
/// cancels less.
void mean_variance_normalization(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const auto axes = normalise_axes(call, call.attribute_integers("axes", {0, 2, 3}), x.dim());
  const at::Tensor centred = x - at::mean(x, axes, /*keepdim=*/true);
  const at::Tensor variance = at::mean(centred * centred, axes, /*keepdim=*/true);
  call.set_like_input(0, centred / (at::sqrt(variance) + 1e-9));
}

const RegisterOps entries{
    {.name = "LpNormalization", .function = lp_normalization},
    {.name = "MeanVarianceNormalization", .function = mean_variance_normalization},
};

}  // namespace
}  // namespace sparsify
