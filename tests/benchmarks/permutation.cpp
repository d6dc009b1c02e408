// Time and efficacy of the channel-permutation search on the test of its authors (64 columns, 128 rows, uniform) and on
// the shapes of real layers: build/bin/bench_permutation
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/rng.h"
#include "tensor/permute_columns.h"

using namespace sparsify;

namespace {

double best_by_row(const std::vector<float>& matrix, int64_t rows, int64_t columns) {
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> values(matrix.begin() + row * columns, matrix.begin() + (row + 1) * columns);
    std::sort(values.rbegin(), values.rend());
    sum += std::accumulate(values.begin(), values.begin() + columns / 2, 0.0);
  }
  return sum;
}

}  // namespace

int main() {
  fmt::print("{:>6} {:>8} {:>8} {:>9} {:>9} {:>9} {:>11}\n", "rows", "columns", "effort", "2:4", "permuted", "efficacy", "seconds");
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{128, 64}, {576, 64}, {1152, 128}, {2304, 256}}) {
    std::vector<float> matrix(static_cast<size_t>(rows * columns));
    const Rng random(1, "benchmark");
    for (size_t i = 0; i < matrix.size(); ++i) matrix[i] = random.uniform_at(i);
    const double optimum = best_by_row(matrix, rows, columns);
    for (const double effort : {0.0, 0.1, 1.0}) {
      const auto start = std::chrono::steady_clock::now();
      const ColumnPermutation found = permute_columns(matrix, rows, columns, 2, 4, {.effort = effort});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      fmt::print("{:>6} {:>8} {:>8} {:>9.1f} {:>9.1f} {:>8.1f}% {:>11.4f}\n", rows, columns, effort, found.kept_before, found.kept,
                 100 * (found.kept - found.kept_before) / (optimum - found.kept_before), seconds);
    }
  }
  return 0;
}
