// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
#include "program/ops/quantization.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "program/ops/conversion.h"

namespace sparsify {
namespace {

struct Range {
  double low = 0;
  double high = 0;
};

Range range_of(DType type) {
  switch (type) {
    case DType::UInt2: return {0, 3};
    case DType::Int2: return {-2, 1};
    case DType::UInt4: return {0, 15};
    case DType::Int4: return {-8, 7};
    case DType::UInt8: return {0, 255};
    case DType::Int8: return {-128, 127};
    case DType::UInt16: return {0, 65535};
    case DType::Int16: return {-32768, 32767};
    case DType::Float4E2M1: return {-6, 6};
    case DType::Float8E4M3FN: return {-448, 448};
    case DType::Float8E4M3FNUZ: return {-240, 240};
    case DType::Float8E5M2:
    case DType::Float8E5M2FNUZ: return {-57344, 57344};
    default:
      throw ResourceError{{.what = fmt::format("values cannot be quantised to {}", name_of(type)),
                           .where = "QuantizeLinear",
                           .fix = "use an integer type of at most 16 bits, float8 or float4"}};
  }
}

/// Types of scales are also precisions of the division; those without arithmetic are computed in a wider one.
at::ScalarType arithmetic_of(DType type) {
  switch (type) {
    case DType::Float64:
    case DType::Int32: return at::kDouble;
    case DType::Float16: return at::kHalf;
    case DType::BFloat16: return at::kBFloat16;
    default: return at::kFloat;
  }
}

void quantize(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const int64_t axis = call.attribute("axis", 1);
  const int64_t block_size = call.attribute("block_size", 0);
  auto type = static_cast<DType>(call.attribute("output_dtype", 0));
  if (call.has(2)) type = call.type(2);
  if (type == DType::Undefined) type = DType::UInt8;

  const int64_t precision = call.attribute("precision", 0);
  const at::ScalarType arithmetic = arithmetic_of(precision == 0 ? call.type(1) : static_cast<DType>(precision));
  const at::Tensor scale = spread(call, call.tensor_on(1, x).to(arithmetic), x.sizes(), axis, block_size);
  const at::Tensor zero_point =
      call.has(2) ? spread(call, unrounded(call.value(2), at::kFloat, x.device()), x.sizes(), axis, block_size)
                  : at::Tensor();
  call.set(0, quantized(x.to(arithmetic) / scale, zero_point, type, call.attribute("saturate", 1) != 0));
}

/// (x - zero_point) * scale, computed in float32 at least.
void dequantize(OpCall& call) {
  const int64_t axis = call.attribute("axis", 1);
  const int64_t block_size = call.attribute("block_size", 0);
  const int64_t asked_for = call.attribute("output_dtype", 0);
  const DType type = asked_for == 0 ? call.type(1) : static_cast<DType>(asked_for);
  const at::ScalarType arithmetic = type == DType::Float64 ? at::kDouble : at::kFloat;

  const at::Device device = call.device();
  at::Tensor x = unrounded(call.value(0), arithmetic, device);
  if (call.has(2)) x = x - spread(call, unrounded(call.value(2), arithmetic, device), x.sizes(), axis, block_size);
  const at::Tensor scale = spread(call, call.tensor(1).to(device, arithmetic), x.sizes(), axis, block_size);
  call.set(0, Value((x * scale).to(carrier_of(type)), type));
}

/// uint8 with a scale and zero point that cover [min(0, x), max(0, x)].
void quantize_dynamically(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  at::Tensor high = at::clamp(x.numel() == 0 ? at::zeros({}, x.options()) : at::amax(x.detach()), 0);
  at::Tensor low = at::clamp(x.numel() == 0 ? high : at::amin(x.detach()), std::nullopt, 0);
  const at::Tensor width = high - low;
  const at::Tensor scale = at::where(width == 0, at::ones_like(width), width) / 255;
  const at::Tensor zero_point = at::round(at::clamp(-low / scale, 0, 255));
  call.set(0, quantized(x / scale, zero_point, DType::UInt8));
  call.set(1, scale);
  call.set(2, zero_point.to(at::kByte));
}

}  // namespace

at::Tensor spread(const OpCall& call, const at::Tensor& parameter, at::IntArrayRef shape, int64_t axis,
                  int64_t block_size) {
  if (parameter.numel() == 1) return parameter.reshape({});
  const auto rank = static_cast<int64_t>(shape.size());
  axis = normalise_axis(call, axis, rank);
  const int64_t size = shape[static_cast<size_t>(axis)];
  if (parameter.dim() == 1) {
    if (parameter.size(0) != size) {
      call.fail(fmt::format("{} scales or zero points do not fit axis {} of size {}", parameter.size(0), axis, size),
                "check the axis attribute and the shape of the scale");
    }
    std::vector<int64_t> broadcast(shape.size(), 1);
    broadcast[static_cast<size_t>(axis)] = size;
    return parameter.view(broadcast);
  }
  if (parameter.dim() != rank || parameter.size(axis) == 0) {
    call.fail(fmt::format("a scale of rank {} does not fit a tensor of rank {}", parameter.dim(), rank),
              "block-wise scales have the rank of the tensor");
  }
  const int64_t blocks = parameter.size(axis);
  if (block_size <= 0) block_size = (size + blocks - 1) / blocks;
  if (blocks != (size + block_size - 1) / block_size) {
    call.fail(fmt::format("{} blocks of {} do not cover axis {} of size {}", blocks, block_size, axis, size),
              "check block_size and the shape of the scale");
  }
  return at::repeat_interleave(parameter, block_size, axis).narrow(axis, 0, size);
}

Value quantized(const at::Tensor& scaled, const at::Tensor& zero_point, DType type, bool saturate) {
  const Range range = range_of(type);
  const bool records = at::GradMode::is_enabled() && scaled.requires_grad();
  const bool is_float = type == DType::Float4E2M1 || !at::isIntegralType(carrier_of(type), false);
  // Offsets of up to 65535 are exact in float32, not in float16.
  const at::Tensor wide = scaled.scalar_type() == at::kDouble ? scaled : scaled.to(at::kFloat);
  const at::Tensor source = records ? wide.detach() : wide;

  Value result;
  if (is_float) {
    const at::Tensor shifted = zero_point.defined() ? source + zero_point : source;
    result = type == DType::Float4E2M1 ? Value(rounded_to_float4(shifted), type)
                                       : Value(rounded_to_float8(shifted, type, saturate), type);
  } else {
    at::Tensor rounded = at::round(source);
    if (zero_point.defined()) rounded = rounded + zero_point;
    result = Value(at::clamp(rounded, range.low, range.high).to(carrier_of(type)), type);
  }
  if (!records) return result;
  const at::Tensor bounded = at::clamp(zero_point.defined() ? wide + zero_point : wide, range.low, range.high);
  return result.with_straight_through(bounded + (result.tensor().to(bounded.scalar_type()) - bounded).detach());
}

at::Tensor unrounded(const Value& value, at::ScalarType type, at::Device device) {
  const at::Tensor& floats = value.straight_through();
  return (floats.defined() ? floats : value.tensor()).to(device, type);
}

namespace {

const RegisterOps entries{
    {.name = "QuantizeLinear", .function = quantize, .gradient = Gradient::Some,
     .notes = "straight-through, into a DequantizeLinear that reads the result"},
    {.name = "DequantizeLinear", .function = dequantize, .gradient = Gradient::Some,
     .notes = "reaches the scale, and x if it is the result of QuantizeLinear"},
    {.name = "DynamicQuantizeLinear", .function = quantize_dynamically, .gradient = Gradient::Some,
     .notes = "straight-through, into a DequantizeLinear that reads the result"},
};

// What ONNX Runtime's tools write for 16 and 4 bits in models before opset 21; the same meaning.
const RegisterOps contrib{
    "com.microsoft",
    {{.name = "QuantizeLinear", .function = quantize, .gradient = Gradient::Some,
      .notes = "straight-through, into a DequantizeLinear that reads the result"},
     {.name = "DequantizeLinear", .function = dequantize, .gradient = Gradient::Some,
      .notes = "reaches the scale, and x if it is the result of QuantizeLinear"}}};

}  // namespace
}  // namespace sparsify
