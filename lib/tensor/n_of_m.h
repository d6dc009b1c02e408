#pragma once

#include <cstdint>
#include <span>

#include "tensor/bit_mask.h"
#include "tensor/shape.h"

namespace sparsify {

/// N:M along one axis of a row-major tensor: of every `m` consecutive indices of `axis` (all other
/// indices fixed) the `n` highest scores are kept; among equal scores the lower index.
/// A last group of r < m indices keeps min(n, r), as if it were padded with pruned elements.
///
///   scores  product(shape) values, no NaN
BitMask select_n_of_m(std::span<const float> scores, const Shape& shape, int axis, int n, int m);

/// The first group that keeps more than n, as the flat index of its first element; -1 if the rule holds.
int64_t first_n_of_m_violation(const BitMask& mask, const Shape& shape, int axis, int n, int m);

/// How many elements select_n_of_m keeps.
int64_t n_of_m_kept(const Shape& shape, int axis, int n, int m);

}  // namespace sparsify
