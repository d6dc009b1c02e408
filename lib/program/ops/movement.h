#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "program/op.h"

namespace sparsify {

/// An operation that only rearranges, repeats or drops elements.
using Movement = std::function<at::Tensor(const at::Tensor&)>;
using JointMovement = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

/// Applies a movement to a value of any element type and keeps its type: strings move through a tensor of their
/// positions, types that most kernels refuse (float8) as bytes.
Value moved(const Value& value, const Movement& movement);
/// The same for several values of one type that end in one tensor (Concat, Where, Scatter). Values on different
/// devices meet on the accelerator.
Value moved(const std::vector<const Value*>& values, const JointMovement& movement);

/// Tensor or string tensor. throws through `call` for a sequence
Shape shape_of(const OpCall& call, size_t input);
int64_t rank_of(const OpCall& call, size_t input);

/// Indices from the graph, as int64 on the device of `data`, with negative ones counted from the end of `dimension`.
at::Tensor positions(const OpCall& call, size_t input, int64_t dimension, at::Device device);

}  // namespace sparsify
