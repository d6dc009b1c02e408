#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace sparsify {

/// Half of each row, wherever it stands: what no permutation can beat.
inline double half_of_each_row(const std::vector<float>& matrix, int64_t rows, int64_t columns) {
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> values(matrix.begin() + row * columns, matrix.begin() + (row + 1) * columns);
    std::sort(values.rbegin(), values.rend());
    sum += std::accumulate(values.begin(), values.begin() + columns / 2, 0.0);
  }
  return sum;
}

}  // namespace sparsify
