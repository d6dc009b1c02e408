// Products of quantised tensors: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv. They are computed in float64,
// which is exact for every sum that int32 can hold.
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <fmt/core.h>

#include "program/ops/convolution.h"
#include "program/ops/quantization.h"

namespace sparsify {
namespace {

at::Tensor wide(const OpCall& call, size_t input) {
  return unrounded(call.value(input), at::kDouble, call.device());
}

/// One number for the tensor, or a vector with one for each index of `axis` of a tensor of rank `rank`. Values with more
/// axes broadcast as they are.
at::Tensor along(const at::Tensor& parameter, int64_t axis, int64_t rank) {
  if (parameter.numel() == 1) return parameter.reshape({});
  if (parameter.dim() != 1 || rank < 2) return parameter;
  std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
  shape[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = parameter.numel();
  return parameter.view(shape);
}

/// Input `input` less the zero point in input `zero_point`.
at::Tensor centred(const OpCall& call, size_t input, size_t zero_point, int64_t axis) {
  const at::Tensor x = wide(call, input);
  return call.has(zero_point) ? x - along(wide(call, zero_point), axis, x.dim()) : x;
}

constexpr int64_t kRows = -2;     // of the left matrix
constexpr int64_t kColumns = -1;  // of the right matrix

void matmul_integer(OpCall& call) {
  const at::Tensor product = at::matmul(centred(call, 0, 2, kRows), centred(call, 1, 3, kColumns));
  call.set(0, product.to(at::kLong).to(at::kInt));
}

void conv_integer(OpCall& call) {
  const at::Tensor product = convolve(call, centred(call, 0, 2, 1), centred(call, 1, 3, 0), std::nullopt);
  call.set(0, product.to(at::kLong).to(at::kInt));
}

/// A scale in its own type.
at::Tensor factor(const OpCall& call, size_t input) { return call.tensor(input).to(call.device()); }

/// Integer sums in steps of the result: one product in the type of the scales, as ONNX Runtime's kernels round it. A sum that is half
/// way between two steps would fall to the other side with more digits.
at::Tensor requantised(const at::Tensor& sums, const at::Tensor& ratio) {
  return sums.to(ratio.scalar_type() == at::kDouble ? at::kDouble : at::kFloat) * ratio;
}

/// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point.
void qlinear_matmul(OpCall& call) {
  const at::Tensor left = centred(call, 0, 2, kRows);
  const at::Tensor right = centred(call, 3, 5, kColumns);
  const at::Tensor left_scale = along(factor(call, 1), kRows, left.dim());
  const at::Tensor right_scale = along(factor(call, 4), kColumns, right.dim());
  const at::Tensor steps = requantised(at::matmul(left, right), left_scale * right_scale / factor(call, 6));
  call.set(0, quantized(steps, wide(call, 7), call.type(7)));
}

/// Inputs: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B in steps of x_scale * w_scale.
/// com.microsoft's `channels_last` means x and y [N, spatial..., C]; the weight stays [M, C/group, kernel...].
void qlinear_conv(OpCall& call) {
  const bool channels_last = call.attribute("channels_last", 0) != 0;
  at::Tensor x = centred(call, 0, 2, channels_last ? -1 : 1);
  if (channels_last) x = x.movedim(-1, 1);
  const at::Tensor weight = centred(call, 3, 5, 0);
  std::optional<at::Tensor> bias;
  if (call.has(8)) bias = wide(call, 8);
  const at::Tensor weight_scale = along(factor(call, 4), 1, x.dim());
  at::Tensor steps = requantised(convolve(call, x, weight, bias), factor(call, 1).reshape({}) * weight_scale / factor(call, 6).reshape({}));
  if (channels_last) steps = steps.movedim(1, -1).contiguous();
  call.set(0, quantized(steps, wide(call, 7).reshape({}), call.type(7)));
}

const char* const kStraightThrough = "straight-through, from and to values that QuantizeLinear and DequantizeLinear handle";

const RegisterOps entries{
    {.name = "MatMulInteger", .function = matmul_integer, .gradient = Gradient::No},
    {.name = "ConvInteger", .function = conv_integer, .gradient = Gradient::No},
    {.name = "QLinearMatMul", .function = qlinear_matmul, .gradient = Gradient::Some,
     .notes = kStraightThrough},
    {.name = "QLinearConv", .function = qlinear_conv, .gradient = Gradient::Some, .notes = kStraightThrough},
    {.name = "QLinearConv", .function = qlinear_conv, .gradient = Gradient::Some, .notes = kStraightThrough, .domain = "com.microsoft"},
    {.name = "MatMulInteger16", .function = matmul_integer, .gradient = Gradient::No, .domain = "com.microsoft"},
};

}  // namespace
}  // namespace sparsify
