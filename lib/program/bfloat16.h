#pragma once

#include <ATen/core/Tensor.h>

namespace sparsify {

/// Whether the device has instructions that multiply bfloat16 (AMX, AVX-512 BF16, GPUs). Elsewhere a library's kernels for it
/// are tens of times slower than those for float32.
bool multiplies_bfloat16(at::Device device);

/// `x` rounded to bfloat16; its gradient is rounded on the way back.
///   x       float32, any shape
///   native  as bfloat16; otherwise the same values as float32: products of two of them are exact there, and their sums are
///           float32 as inside the instructions, so that kernels for float32 compute what those for bfloat16 would
at::Tensor rounded_to_bfloat16(const at::Tensor& x, bool native);

}  // namespace sparsify
