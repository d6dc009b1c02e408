#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

namespace sparsify {

/// Sums over samples and positions of rows[r] times planes[c] seen from a distance, for every r, every c of its group and every distance. What
/// lies outside the planes is zero. Images are laid out once and stay in the cache while all pairs meet.
///
///   rows       [N, R, H, W] float32, contiguous
///   planes     [N, C, H, W] float32, contiguous
///   distances  (down, along), also negative
///   returns    [groups, R / groups, C / groups, distances] float64; products are summed in float32 over some 10^3 positions
at::Tensor correlate_planes(const at::Tensor& rows, const at::Tensor& planes, int64_t groups, const std::vector<std::array<int64_t, 2>>& distances);

}  // namespace sparsify
