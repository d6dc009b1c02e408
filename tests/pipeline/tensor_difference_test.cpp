#include "pipeline/tensor_difference.h"

#include <cmath>
#include <limits>

#include "support/catch.h"

using namespace sparsify;

namespace {

HostTensor doubles(const std::vector<double>& values) { return HostTensor::of(DType::Float64, {static_cast<int64_t>(values.size())}, values); }
HostTensor integers(const std::vector<int64_t>& values) { return HostTensor::of(DType::Int64, {static_cast<int64_t>(values.size())}, values); }

}  // namespace

TEST_CASE("the largest difference is found in the type of the tensors", "[pipeline][difference]") {
  const TensorDifference far = difference_of(doubles({1.0, -4.0, 2.0}), doubles({1.0, -4.5, 2.25}));
  CHECK(far.largest == 0.5);
  CHECK(far.largest_value == 4.0);
  CHECK(far.at == 1);
  CHECK(far.expected == "-4");
  CHECK(far.found == "-4.5");
  CHECK(difference_of(doubles({1.0}), doubles({1.0 + 0x1p-40})).largest == 0x1p-40);  // float32 would not see it
  const TensorDifference next = difference_of(integers({int64_t{1} << 60}), integers({(int64_t{1} << 60) + 1}));
  CHECK(next.largest == 1);
  CHECK(next.found == "1152921504606846977");
  CHECK(difference_of(integers({std::numeric_limits<int64_t>::min()}), integers({std::numeric_limits<int64_t>::max()})).largest == 0x1p64);
}

TEST_CASE("zeros of both signs, NaN and NaN, infinity and infinity are equal; what only one has is infinitely far", "[pipeline][difference]") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(difference_of(doubles({0.0, NAN, infinity}), doubles({-0.0, NAN, infinity})).at == -1);
  CHECK(difference_of(doubles({1.0, NAN}), doubles({1.0, 2.0})).largest == infinity);
  CHECK(difference_of(doubles({infinity}), doubles({-infinity})).largest == infinity);
  CHECK(difference_of(doubles({infinity, 3.0}), doubles({infinity, 3.0})).largest_value == 3.0);
}

TEST_CASE("another type or shape is a problem, other strings are a difference, padding is neither", "[pipeline][difference]") {
  CHECK(difference_of(doubles({1.0}), integers({1})).problem == "int64[1] instead of float64[1]");
  CHECK(difference_of(doubles({1.0}), doubles({1.0, 2.0})).problem == "float64[2] instead of float64[1]");
  const TensorDifference text = difference_of(HostTensor::of_strings({2}, {"a", "b"}), HostTensor::of_strings({2}, {"a", "c"}));
  CHECK(text.at == 1);
  CHECK(text.found == "\"c\"");
  CHECK(difference_of(doubles({1.0, 2.0, 3.0}), doubles({1.0, 2.0, 9.0}), 2).at == -1);
  CHECK(difference_of(doubles({1.0, 2.0, 3.0}), doubles({1.0, 2.0, 9.0}), 3).largest == 6);
}

TEST_CASE("the floor of what floats may differ by follows the tolerance down to nothing", "[pipeline][difference]") {
  CHECK(allowed_difference(1e-4, 10.0) == Approx(1e-3 + 1e-6));
  CHECK(allowed_difference(1e-8, 10.0) == Approx(1e-7 + 1e-8));
  CHECK(allowed_difference(0, 10.0) == 0);
  CHECK(compares_exactly(DType::Int8));
  CHECK(compares_exactly(DType::Bool));
  CHECK_FALSE(compares_exactly(DType::BFloat16));
}
