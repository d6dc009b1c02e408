#pragma once

#include <ATen/core/Tensor.h>

#include "program/op.h"

namespace sparsify {

/// Means over the windows that the node's attributes describe (kernel_shape, strides, pads, ceil_mode ...).
///   input  [N, C, spatial...]
at::Tensor average_pooled(const OpCall& call, const at::Tensor& input);

}  // namespace sparsify
