#pragma once

#include <cstdint>
#include <vector>

#include "tensor/bit_mask.h"
#include "tensor/score_view.h"
#include "tensor/shape.h"

namespace sparsify {

/// The largest tile whose best mask is found by looking at all of them.
inline constexpr int kMaxTransposable = 4;

/// All m x m tiles with exactly n kept in every row and column, as row-major bits (bit 0 = first row, first column), the one that keeps
/// earlier cells first: 90 for 2 of 4.
std::vector<uint32_t> transposable_tiles(int n, int m);

/// N:M along both axes, so that the transposed weight of the backward pass is N:M as well (Hubara et al. 2021, "Accelerated Sparse Neural
/// Training", arXiv:2102.08124): of every m x m tile the mask that keeps the highest sum, among equal sums the earlier one.
/// 1 <= n < m <= kMaxTransposable; both axes are multiples of m.
BitMask select_transposable(ScoreView scores, const Shape& shape, int output_axis, int input_axis, int n, int m);

}  // namespace sparsify
