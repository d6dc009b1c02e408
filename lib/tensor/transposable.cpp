#include "tensor/transposable.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/error.h"

namespace sparsify {
namespace {

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

void add_rows(int row, uint32_t bits, std::array<int, kMaxTransposable>& columns, int n, int m, std::vector<uint32_t>& tiles) {
  if (row == m) {
    tiles.push_back(bits);
    return;
  }
  for (uint32_t choice = 0; choice < 1U << m; ++choice) {
    if (std::popcount(choice) != n) continue;
    bool fits = true;
    for (int c = 0; c < m; ++c) fits = fits && columns[static_cast<size_t>(c)] + static_cast<int>(choice >> c & 1U) <= n;
    if (!fits) continue;
    for (int c = 0; c < m; ++c) columns[static_cast<size_t>(c)] += static_cast<int>(choice >> c & 1U);
    add_rows(row + 1, bits | choice << (row * m), columns, n, m, tiles);
    for (int c = 0; c < m; ++c) columns[static_cast<size_t>(c)] -= static_cast<int>(choice >> c & 1U);
  }
}

}  // namespace

std::vector<uint32_t> transposable_tiles(int n, int m) {
  invariant(1 <= n && n < m && m <= kMaxTransposable, "a transposable N:M has 1 <= N < M <= 4");
  std::vector<uint32_t> tiles;
  std::array<int, kMaxTransposable> columns{};
  add_rows(0, 0, columns, n, m, tiles);
  const auto earlier_first = [](uint32_t a, uint32_t b) { return ((a ^ b) & -(a ^ b) & a) != 0; };  // who keeps the first cell that differs
  std::sort(tiles.begin(), tiles.end(), earlier_first);
  return tiles;
}

BitMask select_transposable(ScoreView scores, const Shape& shape, int output_axis, int input_axis, int n, int m) {
  invariant(scores.size() == element_count(shape), "there is one score for every element");
  const std::vector<int64_t> strides = strides_of(shape);
  const int64_t down = strides[static_cast<size_t>(output_axis)];
  const int64_t along = strides[static_cast<size_t>(input_axis)];
  const int64_t outputs = shape[static_cast<size_t>(output_axis)];
  const int64_t inputs = shape[static_cast<size_t>(input_axis)];
  invariant(output_axis != input_axis && outputs % m == 0 && inputs % m == 0, "tiles fill the weight");
  const std::vector<uint32_t> tiles = transposable_tiles(n, m);
  BitMask mask(scores.size(), /*kept=*/false);
  std::array<double, kMaxTransposable * kMaxTransposable> cells{};
  for (int64_t first = 0; first < scores.size(); ++first) {
    if (first / down % outputs % m != 0 || first / along % inputs % m != 0) continue;
    for (int cell = 0; cell < m * m; ++cell) cells[static_cast<size_t>(cell)] = static_cast<double>(scores[first + cell / m * down + cell % m * along]);
    double most = 0;
    uint32_t best = 0;
    for (const uint32_t tile : tiles) {
      double sum = 0;
      for (int cell = 0; cell < m * m; ++cell) sum += (tile >> cell & 1U) != 0 ? cells[static_cast<size_t>(cell)] : 0;
      if (best != 0 && sum <= most) continue;
      most = sum;
      best = tile;
    }
    for (int cell = 0; cell < m * m; ++cell) {
      if ((best >> cell & 1U) != 0) mask.keep(first + cell / m * down + cell % m * along);
    }
  }
  return mask;
}

}  // namespace sparsify
