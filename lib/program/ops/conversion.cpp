#include "program/ops/conversion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <fmt/core.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sparsify {
namespace {

/// `function` on every element, on the CPU; for types so rare that vector code is not worth its lines.
template <class To, class From, class Function>
at::Tensor map_on_cpu(const at::Tensor& x, at::ScalarType from, at::ScalarType to, Function function) {
  const at::Tensor input = x.detach().to(at::kCPU, from).contiguous();
  at::Tensor result = at::empty_like(input, input.options().dtype(to));
  const auto* in = input.const_data_ptr<From>();
  auto* out = result.data_ptr<To>();
  for (int64_t i = 0; i < input.numel(); ++i) out[i] = function(in[i]);
  return result.to(x.device());
}

float float4_of(float x) {
  if (std::isnan(x)) return -0.0F;
  const float magnitude = std::min(std::fabs(x), 6.0F);
  // Spacing 1/2 up to 2, 1 up to 4, 2 up to 6; nearbyint rounds ties to even, which is the even mantissa.
  const float spacing = magnitude <= 2 ? 0.5F : magnitude <= 4 ? 1.0F : 2.0F;
  return std::copysign(std::nearbyint(magnitude / spacing) * spacing, x);
}

/// Powers of two from 2^-127 to 2^127, and NaN (OCP Microscaling Formats 1.0, section 5.4.1).
float float8e8m0_of(float x, const ConversionOptions& options) {
  constexpr float kLowest = 0x1p-127F;
  constexpr float kHighest = 0x1p127F;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  if (std::isnan(x)) return kNaN;
  const float magnitude = std::fabs(x);
  if (magnitude > kHighest && (options.saturate || std::isinf(x))) return options.saturate ? kHighest : kNaN;
  if (magnitude < kLowest) return options.saturate ? kLowest : kNaN;
  int exponent = std::ilogb(magnitude);
  const float fraction = std::ldexp(magnitude, -exponent);  // in [1, 2)
  if (options.round_mode == "up" ? fraction > 1.0F : options.round_mode == "nearest" && fraction >= 1.5F) ++exponent;
  return exponent > 127 ? kNaN : std::ldexp(1.0F, exponent);
}

[[noreturn]] void refuse(const std::string& text, DType type) {
  throw ResourceError{{.what = fmt::format("the string \"{}\" is not a number", text),
                       .where = "Cast from string to " + name_of(type),
                       .fix = "feed strings such as \"3.14\", \"1e-5\", \"INF\" or \"NaN\""}};
}

/// Decimal, scientific, and INF and NaN in any case.
double number_of(const std::string& text, DType type) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+') ++begin;
  double number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error == std::errc::result_out_of_range) return std::strtod(text.c_str(), nullptr);
  if (error != std::errc() || stop != end) refuse(text, type);
  return number;
}

int64_t integer_of(const std::string& text, DType type) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+') ++begin;
  if (type == DType::UInt64) {
    uint64_t number = 0;
    const auto [stop, error] = std::from_chars(begin, end, number);
    if (error == std::errc() && stop == end) return static_cast<int64_t>(number);
  }
  int64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error == std::errc() && stop == end) return number;
  return static_cast<int64_t>(number_of(text, type));
}

bool is_integer_type(DType type) {
  return type != DType::Float4E2M1 && type != DType::Float8E8M0 && at::isIntegralType(carrier_of(type), false);
}

Value from_strings(const HostTensor& strings, DType type, at::Device device) {
  const bool integers = is_integer_type(type);
  at::Tensor numbers = at::empty(strings.shape(), at::TensorOptions(integers ? at::kLong : at::kDouble));
  for (size_t i = 0; i < strings.strings().size(); ++i) {
    const std::string& text = strings.strings()[i];
    if (integers) {
      numbers.data_ptr<int64_t>()[i] = integer_of(text, type);
    } else {
      numbers.data_ptr<double>()[i] = number_of(text, type);
    }
  }
  return converted(integers ? Value(numbers, DType::Int64) : Value(numbers), type, device);
}

template <class Number>
std::string text_of(Number number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "INF" : "-INF";
  return fmt::format("{}", number);
}

/// The shortest digits that read back as the same value.
Value to_strings(const Value& value) {
  const at::Tensor x = value.tensor().detach();
  std::vector<std::string> strings;
  strings.reserve(static_cast<size_t>(x.numel()));
  if (!x.is_floating_point()) {
    const at::Tensor numbers = x.to(at::kCPU, at::kLong).contiguous();
    for (int64_t i = 0; i < numbers.numel(); ++i) {
      const int64_t number = numbers.const_data_ptr<int64_t>()[i];
      strings.push_back(value.type() == DType::UInt64 ? fmt::format("{}", static_cast<uint64_t>(number))
                                                      : fmt::format("{}", number));
    }
  } else if (value.type() == DType::Float64) {
    const at::Tensor numbers = x.to(at::kCPU).contiguous();
    for (int64_t i = 0; i < numbers.numel(); ++i) strings.push_back(text_of(numbers.const_data_ptr<double>()[i]));
  } else {
    const at::Tensor numbers = x.to(at::kCPU, at::kFloat).contiguous();
    for (int64_t i = 0; i < numbers.numel(); ++i) strings.push_back(text_of(numbers.const_data_ptr<float>()[i]));
  }
  return Value::of_strings(HostTensor::of_strings(x.sizes().vec(), std::move(strings)));
}

uint64_t uint64_of(double x) {
  if (!(x >= 0x1p63)) return static_cast<uint64_t>(static_cast<int64_t>(std::isnan(x) || x < -0x1p63 ? 0 : x));
  return x >= 0x1p64 ? std::numeric_limits<uint64_t>::max() : static_cast<uint64_t>(x);
}

bool is_float8(DType type) {
  return type == DType::Float8E4M3FN || type == DType::Float8E4M3FNUZ || type == DType::Float8E5M2 ||
         type == DType::Float8E5M2FNUZ;
}

}  // namespace

at::Tensor rounded_to_float4(const at::Tensor& x) {
  return map_on_cpu<float, float>(x, at::kFloat, at::kFloat, float4_of);
}

at::Tensor rounded_to_float8(const at::Tensor& x, DType type, bool saturate) {
  at::Tensor wide = x.to(at::kFloat);
  if (saturate) {
    const double largest = type == DType::Float8E4M3FN ? 448 : type == DType::Float8E4M3FNUZ ? 240 : 57344;
    wide = at::clamp(wide, -largest, largest);  // NaN stays
  } else if (type == DType::Float8E4M3FN) {
    // LibTorch saturates here. 464 lies between 448 and what would be the next value, and rounds to even, down.
    wide = at::where(wide.abs() > 464, at::full({}, std::numeric_limits<float>::quiet_NaN(), wide.options()), wide);
  }
  return wide.to(carrier_of(type));
}

Value converted(const Value& value, DType type, at::Device device, const ConversionOptions& options) {
  if (value.type() == type) return value;
  if (value.is_strings()) return from_strings(value.strings(), type, device);
  if (type == DType::String) return to_strings(value);

  at::Tensor x = value.tensor();
  if (value.type() == DType::UInt64 && !is_integer_type(type) && type != DType::Bool) {
    x = map_on_cpu<double, int64_t>(x, at::kLong, at::kDouble,
                                    [](int64_t bits) { return static_cast<double>(static_cast<uint64_t>(bits)); });
  }
  if (is_float8(value.type())) x = x.to(at::kFloat);
  if (type == DType::Bool) return Value(x.to(at::kBool));
  if (is_integer_type(type)) {
    if (x.is_floating_point()) {
      x = type == DType::UInt64
              ? map_on_cpu<int64_t, double>(x, at::kDouble, at::kLong,
                                            [](double number) { return std::bit_cast<int64_t>(uint64_of(number)); })
              : x.to(at::kLong);
    }
    return Value(x.to(carrier_of(type)), type);
  }
  if (!x.is_floating_point() || x.device() != device) x = x.to(device);
  if (is_float8(type)) return Value(rounded_to_float8(x, type, options.saturate), type);
  if (type == DType::Float4E2M1) return Value(rounded_to_float4(x), type);
  if (type == DType::Float8E8M0) {
    return Value(map_on_cpu<float, float>(x, at::kFloat, at::kFloat,
                                          [&](float number) { return float8e8m0_of(number, options); }),
                 type);
  }
  return Value(x.to(carrier_of(type)), type);
}

}  // namespace sparsify
