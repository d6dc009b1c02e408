#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "program/schedule.h"

namespace sparsify {

/// output = input [..., K] * weight [K, N] + bias [N] in one call.
std::unique_ptr<Kernel> make_linear_kernel(int input, int output, const at::Tensor& weight, const at::Tensor& bias, bool bfloat16);

}  // namespace sparsify
