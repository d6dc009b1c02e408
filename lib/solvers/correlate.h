#pragma once

#include "solvers/moments.h"

namespace sparsify {

/// A two-dimensional Conv of stride and dilation 1 whose output is as large as its input, with a kernel of 3x3.
bool correlates(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape);

/// x x^T and the sum of x over one batch without forming columns. The inputs of such a convolution are one image at nine places, so that the 81 blocks
/// of x x^T are the correlations of the image with itself at distances of up to two, 13 of them as the rest is symmetric, less what no output sees: at the
/// top of the kernel the last row, at the bottom the first, and columns likewise. With q below p or to its right:
///
///   gram[p, q] = all[q - p] - row[q - p] - column[q - p] + corner
///
/// where an edge counts only along itself (across it q is outside the image), and the corner for p = q.
/// float64 sums of float32 products over some thousand positions (float64 inputs: float64).
void add_correlations(const LinearSite& site, const at::Tensor& input, Moments& moments);

/// float32, where the processor has wide registers: what stands below is faster than a library's products of columns.
bool correlates_at_once(const at::Tensor& input);
/// t x^T likewise, for such a convolution: input [N, C, H, W], target [N, O, H, W], both contiguous float32.
void add_cross_correlations(const LinearSite& site, const at::Tensor& input, const at::Tensor& target, Moments& moments);

}  // namespace sparsify
