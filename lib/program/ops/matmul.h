#pragma once

#include <ATen/core/Tensor.h>

#include "program/op.h"

namespace sparsify {

/// numpy's matmul for every type that ONNX allows, on any device.
at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right);

/// alpha * A * B + beta * C with Gemm's inputs and attributes.
at::Tensor general_product(const OpCall& call);

}  // namespace sparsify
