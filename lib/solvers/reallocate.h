#pragma once

#include <cstdint>
#include <vector>

namespace sparsify {

/// What pruning one layer costs, in units of the variance of the block's output.
struct ErrorCurve {
  int64_t units = 0;  ///< of the pattern
  int64_t floor = 0;  ///< least units the layer keeps
  /// Falling densities (kept / units) from 1 on and the error at each, rising.
  std::vector<double> densities{};
  std::vector<double> errors{};
};

/// Kept units a layer, in all exactly `total`, with the least sum of errors: a Lagrange multiplier by bisection over the
/// curves (the logarithm of the error is linear in that of the density between two points), the rest to whoever gains most.
///
///   total  between the sum of the floors and the sum of the units
std::vector<int64_t> divide_by_error(const std::vector<ErrorCurve>& curves, int64_t total);

}  // namespace sparsify
