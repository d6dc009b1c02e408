// com.microsoft: products and elementwise operators with quantised operands, computed on
// dequantised float32 values.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/round.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "program/ops/contrib_quantized.h"

namespace sparsify {

at::Tensor dequantised(const OpCall& call, size_t tensor, size_t scale, size_t zero_point) {
  const at::Tensor factor = call.tensor(scale).to(call.device());
  const at::ScalarType type = factor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor values = call.tensor(tensor).to(call.device(), type);
  if (call.has(zero_point)) values = values - call.tensor(zero_point).to(call.device(), type);
  return values * factor;
}

at::Tensor rounded_to_type_of(const OpCall& call, const at::Tensor& values, size_t zero_point) {
  const bool has_zero = call.has(zero_point);
  const at::ScalarType type = has_zero ? call.tensor(zero_point).scalar_type() : at::kByte;
  at::Tensor steps = at::round(values);
  if (has_zero) steps = steps + call.tensor(zero_point).to(values.device(), at::kFloat);
  return (type == at::kChar ? steps.clamp(-128, 127) : steps.clamp(0, 255)).to(type);
}

at::Tensor quantised(const OpCall& call, const at::Tensor& values, size_t scale, size_t zero_point) {
  return rounded_to_type_of(call, values / call.tensor(scale).to(values.device()), zero_point);
}

at::Tensor through_uint8(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach();
  const at::Tensor low = flat.min().clamp_max(0);
  const at::Tensor scale = (flat.max().clamp_min(0) - low) / 255;
  const at::Tensor safe = scale.masked_fill(scale == 0, 1);
  const at::Tensor zero_point = at::round(-low / safe).clamp(0, 255);
  const at::Tensor steps = (at::round(flat / safe) + zero_point).clamp(0, 255);
  return tensor + ((steps - zero_point) * safe - flat);
}

at::Tensor unpacked(const at::Tensor& bytes, int64_t bits) {
  if (bits == 8) return bytes.to(at::kInt);
  const at::Tensor shifts =
      at::arange(0, 8, bits, at::TensorOptions(at::kInt).device(bytes.device()));
  const at::Tensor codes = bytes.to(at::kInt).unsqueeze(-1).bitwise_right_shift(shifts).bitwise_and(
      (int64_t{1} << bits) - 1);
  return codes.flatten(-2);
}

namespace {

at::Tensor on_device(const OpCall& call, size_t input) { return call.tensor(input).to(call.device(), at::kFloat); }

at::Tensor zero_point_of(const OpCall& call, size_t input) {
  return call.has(input) ? on_device(call, input) : at::Tensor(at::zeros({}, at::TensorOptions(at::kFloat).device(call.device())));
}

/// Rounds with the zero point in it, which decides where halves go when it is odd.
at::Tensor saturated(const OpCall& call, const at::Tensor& steps, size_t zero_point) {
  const at::ScalarType type = call.has(zero_point) ? call.tensor(zero_point).scalar_type() : at::kByte;
  return (type == at::kChar ? at::round(steps).clamp(-128, 127) : at::round(steps).clamp(0, 255)).to(type);
}

/// Operands (0, 1, 2) and (3, 4, 5), result scale 6 and zero point 7. The order of float32 operations is that of ONNX Runtime's kernels:
/// sums of quanta are half way between two steps so often that another order would show.
void qlinear_add(OpCall& call) {
  const at::Tensor left = on_device(call, 1) / on_device(call, 6);
  const at::Tensor right = on_device(call, 4) / on_device(call, 6);
  const at::Tensor fixed = zero_point_of(call, 7) - (left * zero_point_of(call, 2) + right * zero_point_of(call, 5));
  call.set(0, saturated(call, on_device(call, 0) * left + fixed + on_device(call, 3) * right, 7));
}

void qlinear_mul(OpCall& call) {
  const at::Tensor product = (on_device(call, 0) - zero_point_of(call, 2)) * (on_device(call, 3) - zero_point_of(call, 5));
  const at::Tensor ratio = on_device(call, 1) * on_device(call, 4) / on_device(call, 6);
  call.set(0, saturated(call, product * ratio + zero_point_of(call, 7), 7));
}

void qlinear_sigmoid(OpCall& call) {
  call.set(0, quantised(call, at::sigmoid(dequantised(call, 0, 1, 2)), 3, 4));
}

void qlinear_leaky_relu(OpCall& call) {
  const double alpha = call.attribute_number("alpha", 0.01);
  call.set(0, quantised(call, at::leaky_relu(dequantised(call, 0, 1, 2), alpha), 3, 4));
}

/// As ONNX Runtime rounds: an exact sum of integers times one float32 factor.
void qlinear_global_average_pool(OpCall& call) {
  at::Tensor values = call.tensor(0).to(call.device(), at::kLong);
  if (call.has(2)) values = values - call.tensor(2).to(call.device(), at::kLong);
  const bool channels_last = call.attribute("channels_last", 0) != 0;
  std::vector<int64_t> axes(static_cast<size_t>(values.dim() - 2));
  std::iota(axes.begin(), axes.end(), channels_last ? 1 : 2);
  int64_t count = 1;
  for (const int64_t axis : axes) count *= values.size(axis);
  const at::Tensor factor = call.tensor(1).to(call.device()) / (call.tensor(3).to(call.device()) * static_cast<double>(count));
  call.set(0, rounded_to_type_of(call, values.sum(axes, true).to(at::kFloat) * factor, 4));
}

void qlinear_softmax(OpCall& call) {
  const at::Tensor values = dequantised(call, 0, 1, 2);
  const int64_t axis = normalise_axis(call, call.attribute("axis", -1), values.dim());
  if (call.attribute("opset", 13) >= 13) {
    call.set(0, quantised(call, at::softmax(values, axis), 3, 4));
    return;
  }
  const auto sizes = values.sizes();
  const int64_t rows =
      std::accumulate(sizes.begin(), sizes.begin() + axis, int64_t{1}, std::multiplies<>());
  call.set(0, quantised(call, at::softmax(values.reshape({rows, -1}), 1).view(sizes), 3, 4));
}

/// Y_scale, Y_zero_point, then (tensor, scale, zero point) for each part.
void qlinear_concat(OpCall& call) {
  std::vector<at::Tensor> parts;
  for (size_t i = 2; i + 2 < call.input_count(); i += 3)
    parts.push_back(dequantised(call, i, i + 1, i + 2));
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), parts.at(0).dim());
  call.set(0, quantised(call, at::cat(parts, axis), 0, 1));
}

/// A, B, b_scale, b_zero_point, bias
void dynamic_quantize_matmul(OpCall& call) {
  at::Tensor product = at::matmul(through_uint8(call.tensor(0)), dequantised(call, 1, 2, 3));
  if (call.has(4)) product = product + call.tensor(4);
  call.set(0, product);
}

/// A, B, a_scale, b_scale, a_zero_point, b_zero_point, bias
void matmul_integer_to_float(OpCall& call) {
  at::Tensor product = at::matmul(dequantised(call, 0, 2, 4), dequantised(call, 1, 3, 5));
  if (call.has(6)) product = product + call.tensor(6);
  call.set(0, product);
}

/// A [..., K] times the transposed weights [N, K] that are stored in blocks along K with one scale
/// each.
void matmul_nbits(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::ScalarType type = input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const int64_t features = call.attribute("K", 0);
  const int64_t outputs = call.attribute("N", 0);
  const int64_t bits = call.attribute("bits", 4);
  const int64_t block = call.attribute("block_size", 32);
  const int64_t blocks = (features + block - 1) / block;
  if (bits != 2 && bits != 4 && bits != 8)
    call.fail(fmt::format("weights of {} bits are not supported", bits), "use 2, 4 or 8");
  if (call.has(4) || call.attribute("weight_prepacked", 0) != 0) {
    call.fail("g_idx and prepacked weights are not supported", "quantise again without them");
  }
  const at::Tensor codes = unpacked(call.tensor_on(1, input).reshape({outputs, blocks, -1}),
                                    bits);  // [N, blocks, block]
  const at::Tensor scales = call.tensor_on(2, input).reshape({outputs, blocks, 1}).to(type);
  at::Tensor shifted;
  if (!call.has(3)) {
    shifted = (codes - (int64_t{1} << (bits - 1))).to(type);
  } else if (call.tensor(3).is_floating_point()) {
    shifted = codes.to(type) - call.tensor(3).reshape({outputs, blocks, 1}).to(type);
  } else {
    const at::Tensor zero_points =
        unpacked(call.tensor_on(3, input).reshape({outputs, -1}), bits).narrow(1, 0, blocks);
    shifted = (codes - zero_points.unsqueeze(2)).to(type);
  }
  const at::Tensor weights = (shifted * scales)
                                 .reshape({outputs, blocks * block})
                                 .narrow(1, 0, features)
                                 .to(input.scalar_type());
  at::Tensor product = at::matmul(input, weights.t());
  if (call.has(5)) product = product + call.tensor(5);
  call.set(0, product);
}

constexpr const char* kIntegerResult = "the result is a quantised integer";

const RegisterOps entries{
    "com.microsoft",
    {
        {.name = "QLinearAdd",
         .function = qlinear_add,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "QLinearMul",
         .function = qlinear_mul,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "QLinearSigmoid",
         .function = qlinear_sigmoid,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "QLinearLeakyRelu",
         .function = qlinear_leaky_relu,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "QLinearGlobalAveragePool",
         .function = qlinear_global_average_pool,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "QLinearSoftmax",
         .function = qlinear_softmax,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "QLinearConcat",
         .function = qlinear_concat,
         .gradient = Gradient::No,
         .notes = kIntegerResult},
        {.name = "DynamicQuantizeMatMul",
         .function = dynamic_quantize_matmul,
         .gradient = Gradient::Some,
         .notes = "straight through the rounding; none for the integer weights"},
        {.name = "MatMulIntegerToFloat",
         .function = matmul_integer_to_float,
         .gradient = Gradient::Some,
         .notes = "for the scales and the bias; the operands are integers"},
        {.name = "MatMulNBits",
         .function = matmul_nbits,
         .gradient = Gradient::Some,
         .notes = "for A, scales and bias; the packed weights are frozen"},
    }};

}  // namespace
}  // namespace sparsify
