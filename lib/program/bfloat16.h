#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <vector>

#include "onnx/graph.h"
#include "program/value.h"

namespace sparsify {

/// Whether the device has instructions that multiply bfloat16 (AMX, AVX-512 BF16, GPUs) and LibTorch uses them. Elsewhere a library's
/// kernels for it are tens of times slower than those for float32.
bool multiplies_bfloat16(at::Device device);

/// `x` rounded to bfloat16; its gradient is rounded on the way back.
///   x       float32 or bfloat16, any shape
///   native  as bfloat16; otherwise the same values as float32: products of two of them are exact there, and their sums are
///           float32 as inside the instructions, so that kernels for float32 compute what those for bfloat16 would
at::Tensor rounded_to_bfloat16(const at::Tensor& x, bool native);
/// As bfloat16 or as float32.
at::Tensor in_precision(const at::Tensor& x, bool bfloat16);

/// What an operator does in a run in bfloat16. As in PyTorch's autocast, values stay bfloat16 between products as long as they meet
/// operators that lose little by it; weights and everything else are float32.
enum class Bfloat16Part {
  Multiplies,  ///< rounds its float32 inputs: its time is in sums of products
  Follows,     ///< computes in bfloat16 where its inputs come so: elementwise, pooling, movement, normalisation
  Widens,      ///< sees float32
};
/// weight  shape of input 1; empty if there is none. Convolutions of few channels a group are not worth it (Widens)
Bfloat16Part bfloat16_part(const Node& node, at::IntArrayRef weight);

/// A value that is kept rounded as the float32 that it stands for; any other as it is.
Value widened(const Value& value);

/// Exchanges `inputs` (null: absent) for what an operator of that part computes with.
///   converted  holds the replacements; must outlive the operator's run
/// Returns whether float32 results that come as bfloat16 stay so.
bool exchange_for_bfloat16(Bfloat16Part part, bool native, const Node& node, std::vector<const Value*>& inputs, std::deque<Value>& converted);

}  // namespace sparsify
