// Tensors made from a shape or a few numbers: ConstantOfShape, Range, EyeLike, OneHot; and Trilu, which masks.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <cmath>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

void constant_of_shape(OpCall& call) {
  const Value given = call.attribute_tensor("value");
  const Value fill = given.empty() ? Value(at::zeros({1}, at::TensorOptions(at::kFloat).device(call.device()))) : given;
  const std::vector<int64_t> shape = call.integers(0);
  call.set(0, moved(fill, [&shape](const at::Tensor& x) { return x.reshape({}).expand(shape); }));
}

template <class Number>
int64_t range_count(Number start, Number limit, Number delta) {
  return std::max<int64_t>(0, static_cast<int64_t>(std::ceil((limit - start) / delta)));
}

void range(OpCall& call) {
  const at::ScalarType type = call.tensor(0).scalar_type();
  const double start = call.number(0);
  const double limit = call.number(1);
  const double delta = call.has(2) ? call.number(2) : 1;  // optional in com.microsoft
  if (delta == 0) call.fail("delta is 0", "use a step other than 0");
  // The count is rounded as in the type's own arithmetic: 0.3f / 0.1f is 3, not 3.00000007.
  const int64_t count = type == at::kDouble || at::isIntegralType(type, false)
                            ? range_count(start, limit, delta)
                            : range_count(static_cast<float>(start), static_cast<float>(limit), static_cast<float>(delta));
  const at::ScalarType wide = at::isIntegralType(type, false) ? at::kLong : at::kDouble;
  const at::Tensor steps = at::arange(count, at::TensorOptions(wide));
  const at::Tensor values = wide == at::kLong ? steps * static_cast<int64_t>(delta) + static_cast<int64_t>(start)
                                              : steps * delta + start;
  call.set_like_input(0, values.to(call.tensor(0).device(), type));
}

void eye_like(OpCall& call) {
  const Shape shape = shape_of(call, 0);
  const DType type = call.has_attribute("dtype") ? static_cast<DType>(call.attribute("dtype", 0)) : call.type(0);
  const int64_t offset = call.attribute("k", 0);
  if (shape.size() != 2) call.fail(fmt::format("input 0 is {}, not a matrix", call.value(0).describe()), "check the graph");
  const at::Tensor eye = at::zeros(shape, at::TensorOptions(carrier_of(type)).device(call.tensor(0).device()));
  if (-shape[0] < offset && offset < shape[1]) eye.diagonal(offset).fill_(1);
  call.set(0, Value(eye, type));
}

void one_hot(OpCall& call) {
  const auto depth = static_cast<int64_t>(call.number(1));
  const int64_t rank = rank_of(call, 0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", -1), rank + 1);
  call.set(0, moved(call.value(2), [&](const at::Tensor& values) {
    const at::Tensor given = call.tensor_on(0, values).to(at::kLong);
    const at::Tensor hot = (given + (given < 0).to(at::kLong) * depth).unsqueeze(axis);
    std::vector<int64_t> along(static_cast<size_t>(rank) + 1, 1);
    along[static_cast<size_t>(axis)] = depth;
    return at::where(hot == at::arange(depth, hot.options()).view(along), values.select(0, 1), values.select(0, 0));
  }));
}

void trilu(OpCall& call) {
  const int64_t diagonal = call.has(1) ? call.integer(1) : 0;
  const bool upper = call.attribute("upper", 1) != 0;
  if (rank_of(call, 0) < 2) call.fail(fmt::format("input 0 is {}, not a matrix", call.value(0).describe()), "check the graph");
  const at::Tensor& x = call.tensor(0);
  const int64_t limit = x.size(-2) + x.size(-1);
  const int64_t offset = std::clamp(diagonal, -limit, limit);
  call.set_like_input(0, upper ? x.triu(offset) : x.tril(offset));
}

const RegisterOps entries{
    {.name = "ConstantOfShape", .function = constant_of_shape, .gradient = Gradient::No, .shape_inputs = input_bits({0})},
    {.name = "Range", .function = range, .gradient = Gradient::No, .shape_inputs = kAllInputs},
    {.name = "Range", .function = range, .gradient = Gradient::No, .shape_inputs = kAllInputs, .domain = "com.microsoft"},
    {.name = "EyeLike", .function = eye_like, .gradient = Gradient::No},
    {.name = "OneHot", .function = one_hot, .gradient = Gradient::Some, .shape_inputs = input_bits({1}),
     .notes = "gradient to the values only"},
    {.name = "Trilu", .function = trilu, .notes = "numeric types"},
    {.name = "Trilu", .function = trilu, .notes = "numeric types", .domain = "com.microsoft"},
};

}  // namespace
}  // namespace sparsify
