#include "data/convert.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace sparsify {
namespace {

constexpr double kLargestHalf = 65504.0;
constexpr double kHalfOverflow = 65520.0;  // the least value that rounds to infinity

[[noreturn]] void reject(double value, DType type, double least, double largest) {
  throw ResourceError{{.what = fmt::format("value {} is not one that {} holds ({} to {})", value,
                                           name_of(type), least, largest),
                       .where = "",
                       .fix = "correct the data, or change their scale"}};
}

template <class T>
void write_integers(const double* values, int64_t count, DType type, std::byte* out, int64_t stride,
                    double least, double largest) {
  for (int64_t i = 0; i < count; ++i) {
    // The upper limit of 64-bit types is a power of two as a double and therefore out of range
    // itself.
    const bool fits =
        values[i] >= least && (values[i] < largest || (values[i] == largest && sizeof(T) < 8));
    if (!fits || values[i] != std::nearbyint(values[i])) reject(values[i], type, least, largest);
    const T value = static_cast<T>(values[i]);
    std::memcpy(out + i * stride * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
  }
}

template <class T>
void write_integers(const double* values, int64_t count, DType type, std::byte* out,
                    int64_t stride) {
  write_integers<T>(values, count, type, out, stride,
                    static_cast<double>(std::numeric_limits<T>::min()),
                    static_cast<double>(std::numeric_limits<T>::max()));
}

template <class T, class Convert>
void write_floats(const double* values, int64_t count, std::byte* out, int64_t stride,
                  Convert convert) {
  for (int64_t i = 0; i < count; ++i) {
    const T value = convert(values[i]);
    std::memcpy(out + i * stride * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
  }
}

}  // namespace

std::vector<double> numbers_of(const HostTensor& tensor) {
  std::vector<double> numbers(static_cast<size_t>(tensor.count()));
  if (tensor.type() == DType::Float64) {
    std::memcpy(numbers.data(), tensor.bytes().data(), tensor.bytes().size());
  } else if (is_float(tensor.type())) {
    const std::vector<float> floats = tensor.to_floats();
    std::copy(floats.begin(), floats.end(), numbers.begin());
  } else {
    const std::vector<int64_t> integers = tensor.to_integers();
    std::copy(integers.begin(), integers.end(), numbers.begin());
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i])) {
      throw ResourceError{{.what = fmt::format("element {} is NaN", i),
                           .where = "",
                           .fix = "leave the record out, or fill in a number"}};
    }
  }
  return numbers;
}

bool is_float(DType type) { return is_prunable_float(type); }

bool is_writable(DType type) {
  switch (type) {
    case DType::UInt8:
    case DType::Int8:
    case DType::UInt16:
    case DType::Int16:
    case DType::Int32:
    case DType::Int64:
    case DType::UInt32:
    case DType::UInt64:
    case DType::Bool:
      return true;
    default:
      return is_float(type);
  }
}

void write_numbers(const double* values, int64_t count, DType type, std::byte* out,
                   int64_t stride) {
  switch (type) {
    case DType::Float32:
      write_floats<float>(values, count, out, stride,
                          [](double value) { return static_cast<float>(value); });
      break;
    case DType::Float64:
      write_floats<double>(values, count, out, stride, [](double value) { return value; });
      break;
    case DType::BFloat16:
      write_floats<uint16_t>(values, count, out, stride, [](double value) {
        return float_to_bfloat16(static_cast<float>(value));
      });
      break;
    case DType::Float16:
      write_floats<uint16_t>(values, count, out, stride, [](double value) {
        if (std::abs(value) >= kHalfOverflow && !std::isinf(value)) {
          reject(value, DType::Float16, -kLargestHalf, kLargestHalf);
        }
        return float_to_half(static_cast<float>(value));
      });
      break;
    case DType::UInt8:
      write_integers<uint8_t>(values, count, type, out, stride);
      break;
    case DType::Int8:
      write_integers<int8_t>(values, count, type, out, stride);
      break;
    case DType::UInt16:
      write_integers<uint16_t>(values, count, type, out, stride);
      break;
    case DType::Int16:
      write_integers<int16_t>(values, count, type, out, stride);
      break;
    case DType::Int32:
      write_integers<int32_t>(values, count, type, out, stride);
      break;
    case DType::Int64:
      write_integers<int64_t>(values, count, type, out, stride);
      break;
    case DType::UInt32:
      write_integers<uint32_t>(values, count, type, out, stride);
      break;
    case DType::UInt64:
      write_integers<uint64_t>(values, count, type, out, stride);
      break;
    case DType::Bool:
      write_integers<uint8_t>(values, count, type, out, stride, 0, 1);
      break;
    default:
      invariant(false, "the type was checked with is_writable");
  }
}

}  // namespace sparsify
