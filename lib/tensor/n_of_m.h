#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/bit_mask.h"
#include "tensor/score_view.h"
#include "tensor/shape.h"

namespace sparsify {

/// The longest group of an N:M pattern.
inline constexpr int kMaxGroupSize = 65536;

/// N:M along one axis of a row-major tensor: of every `m` consecutive indices of `axis` (all other
/// indices fixed) the `n` highest scores are kept; among equal scores the lower index.
/// A last group of r < m indices keeps min(n, r), as if it were padded with pruned elements.
/// 1 <= n < m <= kMaxGroupSize.
///
///   scores  product(shape) values; NaN throws std::logic_error
///   cost    one read of the scores; up to m = 64, m - 1 comparisons a score, eight at a time; beyond, every group is copied
///           and divided at its n-th highest score, in linear time
BitMask select_n_of_m(ScoreView scores, const Shape& shape, int axis, int n, int m);

/// select_n_of_m by the magnitude of the weights, which are cleared where they are pruned: a block of rows at a time,
/// so that memory is read once.
BitMask keep_n_of_m_(std::span<std::byte> float32, const Shape& shape, int axis, int n, int m);

/// The first group that keeps more than n, as the flat index of its first element; -1 if the rule holds.
int64_t first_n_of_m_violation(const BitMask& mask, const Shape& shape, int axis, int n, int m);

/// How many elements select_n_of_m keeps.
int64_t n_of_m_kept(const Shape& shape, int axis, int n, int m);

}  // namespace sparsify
