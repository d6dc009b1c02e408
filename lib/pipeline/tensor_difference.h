#pragma once

#include <string>

#include "tensor/host_tensor.h"

namespace sparsify {

/// How far two tensors that should be equal are apart. Floats are compared as float64, integers as integers: nothing is rounded on the way.
struct TensorDifference {
  std::string problem;        ///< another type or shape; the rest says nothing then
  double largest = 0;         ///< of |actual - reference|; infinite where one of the two is NaN, infinite or another string
  double largest_value = 0;   ///< of the reference's finite |values|
  int64_t at = -1;            ///< element with the largest difference, -1 where all are equal
  std::string expected;       ///< its value in the reference
  std::string found;
};

///   rows  of the first axis that count, the others are padding of a batch; 0: all
TensorDifference difference_of(const HostTensor& reference, const HostTensor& actual, int64_t rows = 0);

/// Integers, bool and strings have no rounding: they are equal or not.
bool compares_exactly(DType type);

/// The most that floats may be apart: tolerance * largest_value + min(tolerance, 1e-6). The second term lets values that should be zero be
/// what float32 rounding leaves of a cancellation; with the tolerance 0, bits must be equal (but -0 is 0, and any NaN is any NaN).
double allowed_difference(double tolerance, double largest_value);

}  // namespace sparsify
