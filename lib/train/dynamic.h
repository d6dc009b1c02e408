#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sparsify {

/// The fraction of kept weights that one change replaces: alpha / 2 (1 + cos(pi t / T_end)).
/// Evci et al. 2020, "Rigging the Lottery", arXiv:1911.11134, section 3 (2).
double replaced_fraction(double alpha, double position);

/// One change of a mask, its count unchanged: the `count` smallest kept weights are dropped, then as many of the highest
/// `growth` among all that are not kept are taken up. A weight dropped just now may come back, and then keeps its value; all
/// others that grow begin at 0. Among equals the lower index is kept, and grown.
///
///   weight, growth  of one shape, finite; `kept` bool, true = kept
///   returns         the new kept mask
at::Tensor drop_and_grow(const at::Tensor& weight, const at::Tensor& growth, const at::Tensor& kept, int64_t count);

}  // namespace sparsify
