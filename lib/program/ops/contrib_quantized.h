#pragma once

#include <ATen/core/Tensor.h>

#include "program/op.h"

namespace sparsify {

/// (tensor - zero_point) * scale of three inputs, in the scale's type (float32 at least) on the program's device.
at::Tensor dequantised(const OpCall& call, size_t tensor, size_t scale, size_t zero_point);

/// Rounds half to even and saturates to the type of the zero point (uint8 without one).
at::Tensor quantised(const OpCall& call, const at::Tensor& values, size_t scale, size_t zero_point);

/// The same of values that were divided by the scale already.
at::Tensor rounded_to_type_of(const OpCall& call, const at::Tensor& values, size_t zero_point);

/// What is left of a tensor that is quantised to uint8 with the range it has now. The gradient passes the rounding as if
/// it were not there.
at::Tensor through_uint8(const at::Tensor& tensor);

/// bytes [..., n] -> int32 [..., n * 8 / bits], low bits first.
at::Tensor unpacked(const at::Tensor& bytes, int64_t bits);

}  // namespace sparsify
