#include "program/value.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/remainder.h>
#include <fmt/core.h>

#include <cmath>
#include <cstring>

#include "base/error.h"

namespace sparsify {
namespace {

/// Two's complement (or unsigned) range of types that live in a wider carrier.
struct Packing {
  int bits = 0;
  bool is_signed = false;
};

Packing packing_of(DType type) {
  switch (type) {
    case DType::UInt16: return {16, false};
    case DType::UInt32: return {32, false};
    case DType::UInt4: return {4, false};
    case DType::Int4: return {4, true};
    case DType::UInt2: return {2, false};
    case DType::Int2: return {2, true};
    default: return {};
  }
}

/// The values of float4e2m1 by code (OCP Microscaling Formats 1.0, section 5.3.3).
constexpr float kFloat4[16] = {0, .5F, 1, 1.5F, 2, 3, 4, 6, -0.F, -.5F, -1, -1.5F, -2, -3, -4, -6};

uint8_t float4_code(float value) {
  uint8_t best = 0;
  for (uint8_t code = 0; code < 16; ++code) {
    if (kFloat4[code] == value && std::signbit(kFloat4[code]) == std::signbit(value)) best = code;
  }
  return best;
}

/// Element `index` of a packed sub-byte tensor, low bits first.
uint8_t packed_at(std::span<const std::byte> bytes, int64_t index, int bits) {
  const int per_byte = 8 / bits;
  const auto byte = static_cast<uint8_t>(bytes[static_cast<size_t>(index / per_byte)]);
  return static_cast<uint8_t>((byte >> (bits * (index % per_byte))) & ((1 << bits) - 1));
}

}  // namespace

at::ScalarType carrier_of(DType type) {
  switch (type) {
    case DType::Float32: return at::kFloat;
    case DType::UInt8: return at::kByte;
    case DType::Int8: return at::kChar;
    case DType::UInt16: return at::kInt;
    case DType::Int16: return at::kShort;
    case DType::Int32: return at::kInt;
    case DType::Int64: return at::kLong;
    case DType::Bool: return at::kBool;
    case DType::Float16: return at::kHalf;
    case DType::Float64: return at::kDouble;
    case DType::UInt32: return at::kLong;
    case DType::UInt64: return at::kLong;
    case DType::Complex64: return at::kComplexFloat;
    case DType::Complex128: return at::kComplexDouble;
    case DType::BFloat16: return at::kBFloat16;
    case DType::Float8E4M3FN: return at::kFloat8_e4m3fn;
    case DType::Float8E4M3FNUZ: return at::kFloat8_e4m3fnuz;
    case DType::Float8E5M2: return at::kFloat8_e5m2;
    case DType::Float8E5M2FNUZ: return at::kFloat8_e5m2fnuz;
    case DType::UInt4:
    case DType::Int4:
    case DType::UInt2:
    case DType::Int2: return at::kChar;
    case DType::Float4E2M1:
    case DType::Float8E8M0: return at::kFloat;
    default:
      throw ResourceError{{.what = fmt::format("values of type {} cannot be computed with", name_of(type)),
                           .where = "the graph",
                           .fix = "convert the model to a numeric type"}};
  }
}

DType type_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return DType::Float32;
    case at::kByte: return DType::UInt8;
    case at::kChar: return DType::Int8;
    case at::kShort: return DType::Int16;
    case at::kInt: return DType::Int32;
    case at::kLong: return DType::Int64;
    case at::kBool: return DType::Bool;
    case at::kHalf: return DType::Float16;
    case at::kDouble: return DType::Float64;
    case at::kComplexFloat: return DType::Complex64;
    case at::kComplexDouble: return DType::Complex128;
    case at::kBFloat16: return DType::BFloat16;
    case at::kFloat8_e4m3fn: return DType::Float8E4M3FN;
    case at::kFloat8_e4m3fnuz: return DType::Float8E4M3FNUZ;
    case at::kFloat8_e5m2: return DType::Float8E5M2;
    case at::kFloat8_e5m2fnuz: return DType::Float8E5M2FNUZ;
    default: invariant(false, "operators make only types that ONNX has"); return DType::Undefined;
  }
}

Value::Value(at::Tensor tensor) : kind_(Kind::Tensor), type_(type_of(tensor.scalar_type())), tensor_(std::move(tensor)) {}

Value::Value(at::Tensor tensor, DType type) : kind_(Kind::Tensor), type_(type), tensor_(std::move(tensor)) {
  const Packing packing = packing_of(type);
  if (tensor_.scalar_type() != carrier_of(type)) tensor_ = tensor_.to(carrier_of(type));
  if (packing.bits == 0) return;
  const int64_t modulus = int64_t{1} << packing.bits;
  at::Tensor wrapped = tensor_.to(at::kLong).bitwise_and(modulus - 1);
  if (packing.is_signed) wrapped = wrapped - (wrapped >= modulus / 2).to(at::kLong) * modulus;
  tensor_ = wrapped.to(carrier_of(type));
}

Value Value::of_rounded(at::Tensor tensor) {
  Value value(std::move(tensor));
  invariant(value.type_ == DType::BFloat16, "rounded values are kept in bfloat16");
  value.type_ = DType::Float32;
  return value;
}

Value Value::of_strings(HostTensor strings) {
  Value value;
  value.kind_ = Kind::Strings;
  value.type_ = DType::String;
  value.strings_ = std::move(strings);
  return value;
}

Value Value::of_sequence(std::vector<Value> items) {
  Value value;
  value.kind_ = Kind::Sequence;
  value.items_ = std::make_shared<const std::vector<Value>>(std::move(items));
  return value;
}

Value Value::with_straight_through(at::Tensor floats) const {
  Value value = *this;
  value.straight_through_ = std::move(floats);
  return value;
}

std::string Value::describe() const {
  switch (kind_) {
    case Kind::None: return "nothing";
    case Kind::Strings: return "string" + to_text(strings_.shape());
    case Kind::Sequence: return fmt::format("a sequence of {}", items_->size());
    case Kind::Tensor: break;
  }
  return name_of(type_) + to_text(tensor_.sizes().vec());
}

Value from_host(const HostTensor& tensor) {
  if (tensor.type() == DType::String) return Value::of_strings(tensor);
  at::Tensor result = at::empty(tensor.shape(), at::TensorOptions(carrier_of(tensor.type())));
  const int64_t count = tensor.count();
  const std::span<const std::byte> bytes = tensor.bytes();
  if (bits_of(tensor.type()) == static_cast<int>(result.element_size()) * 8) {
    if (count > 0) std::memcpy(result.data_ptr(), bytes.data(), bytes.size());
    return Value(result, tensor.type());
  }
  switch (tensor.type()) {
    case DType::UInt16: {
      auto* out = result.data_ptr<int32_t>();
      for (int64_t i = 0; i < count; ++i) {
        uint16_t element = 0;
        std::memcpy(&element, bytes.data() + 2 * i, 2);
        out[i] = element;
      }
      break;
    }
    case DType::UInt32: {
      auto* out = result.data_ptr<int64_t>();
      for (int64_t i = 0; i < count; ++i) {
        uint32_t element = 0;
        std::memcpy(&element, bytes.data() + 4 * i, 4);
        out[i] = element;
      }
      break;
    }
    case DType::Float4E2M1: {
      auto* out = result.data_ptr<float>();
      for (int64_t i = 0; i < count; ++i) out[i] = kFloat4[packed_at(bytes, i, 4)];
      break;
    }
    case DType::Float8E8M0: {
      auto* out = result.data_ptr<float>();
      for (int64_t i = 0; i < count; ++i) {
        const auto exponent = static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
        out[i] = exponent == 255 ? std::nanf("") : std::ldexp(1.0F, exponent - 127);
      }
      break;
    }
    default: {
      auto* out = result.data_ptr<int8_t>();
      const Packing packing = packing_of(tensor.type());
      for (int64_t i = 0; i < count; ++i) {
        const int code = packed_at(bytes, i, packing.bits);
        const bool negative = packing.is_signed && (code >> (packing.bits - 1)) != 0;
        out[i] = static_cast<int8_t>(negative ? code - (1 << packing.bits) : code);
      }
    }
  }
  return Value(result, tensor.type());
}

HostTensor to_host(const Value& value) {
  if (value.is_strings()) return value.strings();
  invariant(value.is_tensor(), "only tensors leave the program");
  const at::Tensor tensor = value.tensor().detach().to(at::kCPU).contiguous();
  HostTensor result(value.type(), tensor.sizes().vec());
  const int64_t count = result.count();
  if (count == 0) return result;
  const std::span<std::byte> bytes = result.mutable_bytes();
  if (bits_of(value.type()) == static_cast<int>(tensor.element_size()) * 8) {
    std::memcpy(bytes.data(), tensor.const_data_ptr(), bytes.size());
    return result;
  }
  if (value.type() == DType::UInt16 || value.type() == DType::UInt32) {
    const at::Tensor wide = tensor.to(at::kLong);
    const auto* in = wide.const_data_ptr<int64_t>();
    const size_t width = value.type() == DType::UInt16 ? 2 : 4;
    for (int64_t i = 0; i < count; ++i) std::memcpy(bytes.data() + static_cast<size_t>(i) * width, in + i, width);
    return result;
  }
  const at::Tensor wide = tensor.to(at::kFloat);
  const auto* in = wide.const_data_ptr<float>();
  const int bits = bits_of(value.type());
  const int per_byte = 8 / bits;
  for (int64_t i = 0; i < count; ++i) {
    int code = 0;
    if (value.type() == DType::Float8E8M0) {
      code = std::isnan(in[i]) ? 255 : std::ilogb(in[i]) + 127;
    } else if (value.type() == DType::Float4E2M1) {
      code = float4_code(in[i]);
    } else {
      code = static_cast<int>(in[i]) & ((1 << bits) - 1);
    }
    bytes[static_cast<size_t>(i / per_byte)] |= static_cast<std::byte>(code << (bits * (i % per_byte)));
  }
  return result;
}

}  // namespace sparsify
