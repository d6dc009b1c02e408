#include "pipeline/tensor_difference.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace sparsify {
namespace {

constexpr double kFloor = 1e-6;  // about 8 roundings of float32 at magnitude 1

template <class T>
std::vector<double> read_as(const HostTensor& tensor) {
  std::vector<T> values(tensor.bytes().size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes().data(), values.size() * sizeof(T));
  return {values.begin(), values.end()};
}

/// Complex numbers as their two parts.
std::vector<double> doubles_of(const HostTensor& tensor) {
  switch (tensor.type()) {
    case DType::Float64:
    case DType::Complex128: return read_as<double>(tensor);
    case DType::Complex64: return read_as<float>(tensor);
    default: break;
  }
  const std::vector<float> floats = tensor.to_floats();
  return {floats.begin(), floats.end()};
}

/// Takes the elements one by one.
class Differences {
 public:
  explicit Differences(TensorDifference& result) : result_(result) {}

  void value(double magnitude) {
    if (std::isfinite(magnitude)) result_.largest_value = std::max(result_.largest_value, magnitude);
  }
  /// True when it is the largest so far, whose values are to be named.
  bool gap(int64_t at, double gap) {
    if (gap <= result_.largest) return false;
    result_.largest = gap;
    result_.at = at;
    return true;
  }

 private:
  TensorDifference& result_;
};

void compare_floats_(TensorDifference& result, const HostTensor& reference, const HostTensor& actual, size_t count) {
  const std::vector<double> want = doubles_of(reference);
  const std::vector<double> have = doubles_of(actual);
  Differences differences(result);
  for (size_t i = 0; i < std::min(count, want.size()); ++i) {
    differences.value(std::fabs(want[i]));
    if (want[i] == have[i] || (std::isnan(want[i]) && std::isnan(have[i]))) continue;
    const double gap = std::fabs(want[i] - have[i]);
    differences.gap(static_cast<int64_t>(i), std::isfinite(gap) ? gap : std::numeric_limits<double>::infinity());
  }
  if (result.at < 0) return;
  result.expected = fmt::format("{:.9g}", want[static_cast<size_t>(result.at)]);
  result.found = fmt::format("{:.9g}", have[static_cast<size_t>(result.at)]);
}

void compare_integers_(TensorDifference& result, const HostTensor& reference, const HostTensor& actual, size_t count) {
  const std::vector<int64_t> want = reference.to_integers();
  const std::vector<int64_t> have = actual.to_integers();
  const bool is_unsigned = reference.type() == DType::UInt64;  // in the same bits
  const auto text = [&](int64_t value) { return is_unsigned ? std::to_string(static_cast<uint64_t>(value)) : std::to_string(value); };
  Differences differences(result);
  for (size_t i = 0; i < std::min(count, want.size()); ++i) {
    differences.value(is_unsigned ? static_cast<double>(static_cast<uint64_t>(want[i])) : std::fabs(static_cast<double>(want[i])));
    if (want[i] == have[i]) continue;
    const auto a = static_cast<uint64_t>(want[i]);
    const auto b = static_cast<uint64_t>(have[i]);
    const bool first_larger = is_unsigned ? a > b : want[i] > have[i];
    if (!differences.gap(static_cast<int64_t>(i), static_cast<double>(first_larger ? a - b : b - a))) continue;
    result.expected = text(want[i]);
    result.found = text(have[i]);
  }
}

void compare_strings_(TensorDifference& result, const HostTensor& reference, const HostTensor& actual, size_t count) {
  for (size_t i = 0; i < std::min(count, reference.strings().size()); ++i) {
    if (reference.strings()[i] == actual.strings()[i]) continue;
    result.largest = std::numeric_limits<double>::infinity();
    result.at = static_cast<int64_t>(i);
    result.expected = fmt::format("\"{}\"", reference.strings()[i]);
    result.found = fmt::format("\"{}\"", actual.strings()[i]);
    return;
  }
}

}  // namespace

bool compares_exactly(DType type) {
  switch (type) {
    case DType::String:
    case DType::Bool:
    case DType::UInt8:
    case DType::Int8:
    case DType::UInt16:
    case DType::Int16:
    case DType::Int32:
    case DType::Int64:
    case DType::UInt32:
    case DType::UInt64:
    case DType::UInt4:
    case DType::Int4:
    case DType::UInt2:
    case DType::Int2: return true;
    default: return false;
  }
}

double allowed_difference(double tolerance, double largest_value) { return tolerance * largest_value + std::min(tolerance, kFloor); }

TensorDifference difference_of(const HostTensor& reference, const HostTensor& actual, int64_t rows) {
  TensorDifference result;
  if (reference.type() != actual.type() || reference.shape() != actual.shape()) {
    result.problem =
        fmt::format("{}{} instead of {}{}", name_of(actual.type()), to_text(actual.shape()), name_of(reference.type()), to_text(reference.shape()));
    return result;
  }
  const bool padded = rows > 0 && !reference.shape().empty() && rows < reference.shape().front();
  const bool is_complex = reference.type() == DType::Complex64 || reference.type() == DType::Complex128;
  const int64_t parts = reference.count() * (is_complex ? 2 : 1);
  const auto count = static_cast<size_t>(padded ? parts / reference.shape().front() * rows : parts);
  if (reference.type() == DType::String) compare_strings_(result, reference, actual, count);
  else if (compares_exactly(reference.type())) compare_integers_(result, reference, actual, count);
  else compare_floats_(result, reference, actual, count);
  return result;
}

}  // namespace sparsify
