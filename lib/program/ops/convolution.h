#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "program/op.h"

namespace sparsify {

/// The convolution of a node with Conv's attributes: inputs 0 (X) and 1 (W), and the bias given.
at::Tensor convolve(const OpCall& call, const std::optional<at::Tensor>& bias);

/// The same with other operands, such as dequantised ones.
at::Tensor convolve(const OpCall& call, const at::Tensor& input, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias);

}  // namespace sparsify
