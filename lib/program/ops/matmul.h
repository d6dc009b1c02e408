#pragma once

#include <ATen/core/Tensor.h>

namespace sparsify {

/// numpy's matmul for every type that ONNX allows, on any device.
at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right);

}  // namespace sparsify
