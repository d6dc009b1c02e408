// Reductions. `axes` is an attribute at first and an input later (ReduceSum at 13, the others at 18): both are read in
// every version. Over no elements the result is the neutral element of the operation.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/div.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/log.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/prod.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/sum.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

struct Reduction {
  at::Tensor x;
  std::vector<int64_t> axes;  ///< sorted; none: every element by itself
  bool keep = true;           ///< keeps reduced axes with size 1
  DType type = DType::Undefined;

  bool is_integer() const { return !x.is_floating_point(); }
  int64_t elements() const {
    int64_t count = 1;
    for (const int64_t axis : axes) count *= x.dim() == 0 ? 1 : x.size(axis);
    return count;
  }
  std::vector<int64_t> shape() const {
    std::vector<int64_t> sizes;
    for (int64_t axis = 0; axis < x.dim(); ++axis) {
      const bool reduced = std::binary_search(axes.begin(), axes.end(), axis);
      if (!reduced || keep) sizes.push_back(reduced ? 1 : x.size(axis));
    }
    return sizes;
  }
};

Reduction reduction_of(const OpCall& call) {
  Reduction reduction{call.tensor(0), {}, call.attribute("keepdims", 1) != 0, call.type(0)};
  const int64_t rank = reduction.x.dim();
  const auto axes = call.axes_from("axes", 1);
  if (axes && !axes->empty()) {
    reduction.axes = normalise_axes(call, *axes, rank);
    std::sort(reduction.axes.begin(), reduction.axes.end());
  } else if (call.attribute("noop_with_empty_axes", 0) == 0) {
    reduction.axes.resize(static_cast<size_t>(rank));
    std::iota(reduction.axes.begin(), reduction.axes.end(), 0);
  }
  if (rank == 0) reduction.axes.clear();
  return reduction;
}

at::Tensor total(const Reduction& r, const at::Tensor& x) {
  return r.axes.empty() ? x : at::sum(x, r.axes, r.keep, x.scalar_type());
}

/// Integers are computed in float64 and truncated back.
at::Tensor floating(const Reduction& r) { return r.is_integer() ? r.x.to(at::kDouble) : r.x; }

at::Tensor sum(const Reduction& r) { return total(r, r.x); }
at::Tensor sum_of_squares(const Reduction& r) { return total(r, r.x * r.x); }
at::Tensor l1(const Reduction& r) { return total(r, is_unsigned(r.type) ? r.x : at::abs(r.x)); }

/// The norm's own gradient is 0 at the origin, where the square root's is infinite.
at::Tensor l2(const Reduction& r) {
  if (r.axes.empty()) return is_unsigned(r.type) ? r.x : at::abs(r.x);
  return at::linalg_vector_norm(floating(r), 2, r.axes, r.keep);
}

at::Tensor log_sum(const Reduction& r) { return at::log(total(r, floating(r))); }

at::Tensor log_sum_exp(const Reduction& r) {
  return r.axes.empty() ? r.x : at::logsumexp(floating(r), r.axes, r.keep);
}

at::Tensor mean(const Reduction& r) {
  if (r.axes.empty()) return r.x;
  if (!r.is_integer()) return at::mean(r.x, r.axes, r.keep);
  return at::div(at::sum(r.x, r.axes, r.keep, at::kLong), std::max<int64_t>(r.elements(), 1), "trunc");
}

at::Tensor product(const Reduction& r) {
  at::Tensor result = r.x;
  for (auto axis = r.axes.rbegin(); axis != r.axes.rend(); ++axis) {
    result = at::prod(result, *axis, r.keep, r.x.scalar_type());
  }
  return result;
}

/// The lowest or highest value of a type, in its carrier.
at::Scalar limit_of(DType type, bool lowest) {
  switch (type) {
    case DType::Bool: return lowest ? 0 : 1;
    case DType::UInt8: return lowest ? 0 : 255;
    case DType::Int8: return lowest ? -128 : 127;
    case DType::Int32: return lowest ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
    case DType::UInt32: return lowest ? int64_t{0} : int64_t{std::numeric_limits<uint32_t>::max()};
    case DType::Int64: return lowest ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
    case DType::UInt64: return lowest ? int64_t{0} : int64_t{-1};
    default: return lowest ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
}

template <bool IsMax>
at::Tensor extreme(const Reduction& r) {
  if (r.axes.empty()) return r.x;
  if (r.elements() == 0) return at::full(r.shape(), limit_of(r.type, IsMax), r.x.options());
  at::Tensor x = in_signed_order(r.x, r.type);
  if (r.type == DType::Bool) x = x.to(at::kByte);
  return in_signed_order(IsMax ? at::amax(x, r.axes, r.keep) : at::amin(x, r.axes, r.keep), r.type);
}

template <at::Tensor (*Function)(const Reduction&)>
void reduce(OpCall& call) {
  const Reduction reduction = reduction_of(call);
  const at::Tensor result = Function(reduction);
  const at::ScalarType type = reduction.x.scalar_type();
  call.set_like_input(0, result.scalar_type() == type ? result : result.to(type));
}

constexpr InputBits kAxes = input_bits({1});

const RegisterOps entries{
    {.name = "ReduceSum", .function = reduce<sum>, .shape_inputs = kAxes},
    {.name = "ReduceMean", .function = reduce<mean>, .shape_inputs = kAxes},
    {.name = "ReduceProd", .function = reduce<product>, .shape_inputs = kAxes},
    {.name = "ReduceMax", .function = reduce<extreme<true>>, .shape_inputs = kAxes},
    {.name = "ReduceMin", .function = reduce<extreme<false>>, .shape_inputs = kAxes},
    {.name = "ReduceL1", .function = reduce<l1>, .shape_inputs = kAxes},
    {.name = "ReduceL2", .function = reduce<l2>, .shape_inputs = kAxes},
    {.name = "ReduceLogSum", .function = reduce<log_sum>, .shape_inputs = kAxes},
    {.name = "ReduceLogSumExp", .function = reduce<log_sum_exp>, .shape_inputs = kAxes},
    {.name = "ReduceSumSquare", .function = reduce<sum_of_squares>, .shape_inputs = kAxes},
};

}  // namespace
}  // namespace sparsify
