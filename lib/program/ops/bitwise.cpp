// Operators on the bits of integers.
#include <ATen/TensorOperators.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_left_shift.h>
#include <ATen/ops/bitwise_not.h>
#include <ATen/ops/bitwise_or.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/bitwise_xor.h>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

template <at::Tensor (*Function)(const at::Tensor&, const at::Tensor&)>
void bitwise(OpCall& call) {
  const auto [a, b] = operands(call);
  call.set_like_input(0, Function(a, b));
}

/// Bits that leave the type are lost: Value wraps the types that live in a wider carrier. Shifts by the width or more
/// give 0.
void shift(OpCall& call) {
  const std::string direction = call.attribute_text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    call.fail("direction is \"" + direction + "\"", "it must be LEFT or RIGHT");
  }
  const bool left = direction == "LEFT";
  const auto [a, b] = operands(call);
  if (call.type(0) == DType::UInt64) {
    const auto leftward = [](uint64_t x, uint64_t amount) { return amount < 64 ? x << amount : uint64_t{0}; };
    const auto rightward = [](uint64_t x, uint64_t amount) { return amount < 64 ? x >> amount : uint64_t{0}; };
    call.set_like_input(0, left ? map_uint64(a, b, leftward) : map_uint64(a, b, rightward));
    return;
  }
  call.set_like_input(0, left ? at::bitwise_left_shift(a, b) : at::bitwise_right_shift(a, b));
}

const RegisterOps entries{
    {.name = "BitShift", .function = shift, .gradient = Gradient::No},
    {.name = "BitwiseAnd", .function = bitwise<at::bitwise_and>, .gradient = Gradient::No},
    {.name = "BitwiseOr", .function = bitwise<at::bitwise_or>, .gradient = Gradient::No},
    {.name = "BitwiseXor", .function = bitwise<at::bitwise_xor>, .gradient = Gradient::No},
    {.name = "BitwiseNot", .function = elementwise<at::bitwise_not>, .gradient = Gradient::No},
};

}  // namespace
}  // namespace sparsify
