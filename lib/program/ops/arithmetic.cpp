// Arithmetic of several inputs with numpy's broadcasting.
#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/div.h>
#include <ATen/ops/fmod.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

using Binary = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

void add(OpCall& call) {
  const auto [a, b] = operands(call);
  call.set_like_input(0, at::add(a, b));
}

void subtract(OpCall& call) {
  const auto [a, b] = operands(call);
  call.set_like_input(0, at::sub(a, b));
}

void multiply(OpCall& call) {
  const auto [a, b] = operands(call);
  call.set_like_input(0, at::mul(a, b));
}

/// Processors trap on division by zero, and on the lowest integer divided by -1.
struct Divisor {
  at::Tensor safe;          ///< -1 replaced by 1
  at::Tensor is_minus_one;  ///< undefined for unsigned types
};

Divisor checked_divisor(const OpCall& call, const at::Tensor& divisor) {
  if ((divisor == 0).any().item<bool>()) {
    call.fail("an integer is divided by zero", "check the values that reach this node");
  }
  if (is_unsigned(call.type(1))) return {divisor, {}};
  const at::Tensor is_minus_one = divisor == -1;
  return {at::where(is_minus_one, at::ones_like(divisor), divisor), is_minus_one};
}

void divide(OpCall& call) {
  const auto [a, b] = operands(call);
  if (!at::isIntegralType(a.scalar_type(), false)) {
    call.set_like_input(0, at::div(a, b));
    return;
  }
  const Divisor divisor = checked_divisor(call, b);
  if (call.type(0) == DType::UInt64) {
    call.set_like_input(0, map_uint64(a, b, [](uint64_t x, uint64_t y) { return x / y; }));
    return;
  }
  const at::Tensor quotient = at::div(a, divisor.safe, "trunc");
  call.set_like_input(0, divisor.is_minus_one.defined() ? at::where(divisor.is_minus_one, -a, quotient) : quotient);
}

/// fmod = 1: the sign of the dividend as in C; otherwise of the divisor as in Python.
void mod(OpCall& call) {
  const auto [a, b] = operands(call);
  const bool as_in_c = call.attribute("fmod", 0) != 0;
  if (!at::isIntegralType(a.scalar_type(), false)) {
    call.set_like_input(0, as_in_c ? at::fmod(a, b) : at::remainder(a, b));
    return;
  }
  const at::Tensor divisor = checked_divisor(call, b).safe;  // everything leaves 0 when divided by 1 or -1
  if (call.type(0) == DType::UInt64) {
    call.set_like_input(0, map_uint64(a, b, [](uint64_t x, uint64_t y) { return x % y; }));
  } else {
    call.set_like_input(0, as_in_c ? at::fmod(a, divisor) : at::remainder(a, divisor));
  }
}

/// The result has the type of the base, whatever the exponent's.
void power(OpCall& call) {
  const auto [base, exponent] = operands(call);
  const at::ScalarType type = base.scalar_type();
  if (at::isIntegralType(type, true)) {
    const at::ScalarType wide = exponent.is_floating_point() ? at::kDouble : at::kLong;
    call.set_like_input(0, at::pow(base.to(wide), exponent.to(wide)).to(at::kLong).to(type));
    return;
  }
  if (exponent.numel() == 1 && exponent.dim() <= base.dim() && exponent.is_cpu() && !exponent.requires_grad()) {
    call.set_like_input(0, at::pow(base, exponent.item()));  // has fast paths for 2, 0.5 ...
    return;
  }
  call.set_like_input(0, at::pow(base, exponent).to(type));
}

at::Tensor fold(const OpCall& call, Binary combine) {
  at::Tensor result = in_signed_order(call.tensor(0), call.type(0));
  for (size_t i = 1; i < call.input_count(); ++i) {
    at::Tensor next = in_signed_order(call.tensor(i), call.type(0));
    to_one_device(result, next);
    result = combine(result, next);
  }
  return in_signed_order(result, call.type(0));
}

void minimum(OpCall& call) { call.set_like_input(0, fold(call, at::minimum)); }
void maximum(OpCall& call) { call.set_like_input(0, fold(call, at::maximum)); }

at::Tensor plus(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }

void sum(OpCall& call) { call.set_like_input(0, fold(call, plus)); }
void mean(OpCall& call) { call.set_like_input(0, fold(call, plus) / static_cast<int64_t>(call.input_count())); }

std::optional<at::Scalar> attribute_bound(const OpCall& call, const char* name) {
  if (!call.has_attribute(name)) return std::nullopt;
  return call.attribute_number(name, 0);
}

/// A bound that bfloat16 cannot hold bounds nothing there.
std::optional<at::Scalar> bound_for(const at::Tensor& x, const std::optional<at::Scalar>& bound) {
  const bool beyond = bound && x.scalar_type() == at::kBFloat16 && std::abs(bound->toDouble()) > static_cast<float>(std::numeric_limits<at::BFloat16>::max());
  return beyond ? at::Scalar(std::copysign(std::numeric_limits<double>::infinity(), bound->toDouble())) : bound;
}

/// Between two numbers LibTorch's Hardtanh (ReLU6): one kernel and one for its gradient, which is 0 at the bounds as ReLU's is at 0.
at::Tensor clipped(const at::Tensor& x, const std::optional<at::Scalar>& lowest, const std::optional<at::Scalar>& highest) {
  if (!lowest && !highest) return x;
  const auto low = bound_for(x, lowest), high = bound_for(x, highest);
  if (low && high && x.is_floating_point() && low->toDouble() < high->toDouble()) return at::hardtanh(x, *low, *high);
  return at::clamp(x, low, high);
}

/// Bounds are attributes before opset 11 and optional inputs since; max wins over min.
void clip(OpCall& call) {
  at::Tensor x = call.tensor(0);
  if (call.opset() < 11) {
    const auto low = attribute_bound(call, "min");
    const auto high = attribute_bound(call, "max");
    call.set_like_input(0, clipped(x, low, high));
    return;
  }
  std::optional<at::Tensor> bounds[2];
  bool plain = true;  // numbers that need no gradient: LibTorch is faster with scalars
  for (size_t i = 0; i < 2; ++i) {
    if (!call.has(i + 1)) continue;
    bounds[i] = in_signed_order(call.tensor(i + 1), call.type(0));
    plain = plain && bounds[i]->numel() == 1 && bounds[i]->is_cpu() && !bounds[i]->requires_grad();
  }
  if (!bounds[0] && !bounds[1]) {
    call.set(0, call.value(0));
    return;
  }
  x = in_signed_order(x, call.type(0));
  if (plain) {
    const auto number = [](const std::optional<at::Tensor>& bound) {
      return bound ? std::optional<at::Scalar>(bound->item()) : std::nullopt;
    };
    x = clipped(x, number(bounds[0]), number(bounds[1]));
  } else {
    for (auto& bound : bounds) {
      if (bound) bound = bound->reshape({}).to(x.device());
    }
    x = at::clamp(x, bounds[0], bounds[1]);
  }
  call.set_like_input(0, in_signed_order(x, call.type(0)));
}

const RegisterOps entries{
    {.name = "Add", .function = add},
    {.name = "Sub", .function = subtract},
    {.name = "Mul", .function = multiply},
    {.name = "Div", .function = divide},
    {.name = "Mod", .function = mod},
    {.name = "Pow", .function = power},
    {.name = "Min", .function = minimum},
    {.name = "Max", .function = maximum},
    {.name = "Sum", .function = sum},
    {.name = "Mean", .function = mean},
    {.name = "Clip", .function = clip, .notes = "between two numbers: gradient 0 at the bounds"},
};

}  // namespace
}  // namespace sparsify
