// Time and efficacy of the channel-permutation search on the test of its authors (64 columns, 128 rows, uniform) and on
// the shapes of real layers: build/bin/bench_permutation
#include <fmt/core.h>

#include <chrono>

#include "base/rng.h"
#include "support/half_of_each_row.h"
#include "tensor/permute_columns.h"

using namespace sparsify;

int main() {
  fmt::print("{:>6} {:>8} {:>8} {:>9} {:>9} {:>9} {:>11}\n", "rows", "columns", "effort", "2:4", "permuted", "efficacy", "seconds");
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{128, 64}, {576, 64}, {1152, 128}, {2304, 256}}) {
    std::vector<float> matrix(static_cast<size_t>(rows * columns));
    const Rng random(1, "benchmark");
    for (size_t i = 0; i < matrix.size(); ++i) matrix[i] = random.uniform_at(i);
    const double optimum = half_of_each_row(matrix, rows, columns);
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
