#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "program/op.h"

namespace sparsify {

/// Moves a value that stayed on the CPU lane to the device of the other.
void to_one_device(at::Tensor& left, at::Tensor& right);

/// Inputs 0 and 1 on one device.
std::pair<at::Tensor, at::Tensor> operands(const OpCall& call);

/// uint64 lives in int64, where values from 2^63 on look negative: with the top bit flipped, signed comparison orders
/// them. Its own inverse; the tensor itself for every other type.
at::Tensor in_signed_order(const at::Tensor& tensor, DType type);

/// Applies `function` to uint64 operands, broadcast. For what signed arithmetic gets wrong: division, right shift.
at::Tensor map_uint64(const at::Tensor& left, const at::Tensor& right, uint64_t (*function)(uint64_t, uint64_t));

bool is_unsigned(DType type);

/// An operator of one input that a LibTorch function computes; the result keeps the type of the input.
template <at::Tensor (*Function)(const at::Tensor&)>
void elementwise(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor result = Function(input);
  call.set_like_input(0, result.scalar_type() == input.scalar_type() ? result : result.to(input.scalar_type()));
}

}  // namespace sparsify
