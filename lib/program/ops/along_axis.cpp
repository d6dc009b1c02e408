// What runs along one axis: the place of the extreme, and running totals.
#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/argmin.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumprod.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/full_like.h>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

/// Among equal values the first, or the last when asked.
template <bool IsMax>
void arg_extreme(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), x.dim());
  const bool keep = call.attribute("keepdims", 1) != 0;
  const bool last = call.attribute("select_last_index", 0) != 0;
  at::Tensor values = in_signed_order(x, call.type(0));
  if (last) values = at::flip(values, axis);
  const at::Tensor index = IsMax ? at::argmax(values, axis, keep) : at::argmin(values, axis, keep);
  call.set(0, last ? (x.dim() == 0 ? 1 : x.size(axis)) - 1 - index : index);
}

at::Tensor running_sum(const at::Tensor& x, int64_t axis) { return at::cumsum(x, axis, x.scalar_type()); }
at::Tensor running_product(const at::Tensor& x, int64_t axis) { return at::cumprod(x, axis, x.scalar_type()); }

/// `exclusive` leaves out the element itself: the neutral element enters first and the last element nowhere.
template <at::Tensor (*Accumulate)(const at::Tensor&, int64_t), int Neutral>
void cumulative(OpCall& call) {
  at::Tensor x = call.tensor(0);
  const int64_t axis = normalise_axis(call, call.integer(1), x.dim());
  const bool reverse = call.attribute("reverse", 0) != 0;
  if (reverse) x = at::flip(x, axis);
  if (call.attribute("exclusive", 0) != 0 && x.dim() > 0 && x.size(axis) > 0) {
    const at::Tensor first = at::full_like(x.narrow(axis, 0, 1), Neutral);
    x = at::cat({first, x.narrow(axis, 0, x.size(axis) - 1)}, axis);
  }
  const at::Tensor result = Accumulate(x, axis);
  call.set_like_input(0, reverse ? at::flip(result, axis) : result);
}

const RegisterOps entries{
    {.name = "ArgMax", .function = arg_extreme<true>, .gradient = Gradient::No},
    {.name = "ArgMin", .function = arg_extreme<false>, .gradient = Gradient::No},
    {.name = "CumSum", .function = cumulative<running_sum, 0>},
    {.name = "CumProd", .function = cumulative<running_product, 1>},
};

}  // namespace
}  // namespace sparsify
