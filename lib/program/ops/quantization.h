#pragma once

#include <ATen/core/Tensor.h>

#include "program/op.h"

namespace sparsify {

/// A scale or zero point shaped to broadcast against a tensor of `shape`: one number, one for each index of `axis`, or
/// one for each block of `block_size` along it.
at::Tensor spread(const OpCall& call, const at::Tensor& parameter, at::IntArrayRef shape, int64_t axis,
                  int64_t block_size);

/// round(scaled) + zero_point, ties to even, saturated to the range of `type`; rounded to the nearest value when `type`
/// is a float of 8 or 4 bits. Where autograd records, the value carries the straight-through estimator: gradient 1
/// inside the range, 0 outside (Bengio et al. 2013, arXiv:1308.3432; Jacob et al. 2018, arXiv:1712.05877).
///   scaled      x / scale
///   zero_point  undefined for none
Value quantized(const at::Tensor& scaled, const at::Tensor& zero_point, DType type, bool saturate = true);

/// The floats behind a value of any quantised type: exact, with the straight-through gradient if there is one.
at::Tensor unrounded(const Value& value, at::ScalarType type, at::Device device);

}  // namespace sparsify
