// Mathematical functions of one input.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/acos.h>
#include <ATen/ops/acosh.h>
#include <ATen/ops/asin.h>
#include <ATen/ops/asinh.h>
#include <ATen/ops/atan.h>
#include <ATen/ops/atanh.h>
#include <ATen/ops/ceil.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/cosh.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/isinf.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/isneginf.h>
#include <ATen/ops/isposinf.h>
#include <ATen/ops/log.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/round.h>
#include <ATen/ops/sign.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sinh.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/tan.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros_like.h>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

void absolute(OpCall& call) {
  if (is_unsigned(call.type(0))) {
    call.set(0, call.value(0));
  } else {
    call.set_like_input(0, at::abs(call.tensor(0)));
  }
}

void sign(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  call.set_like_input(0, is_unsigned(call.type(0)) ? (x != 0).to(x.scalar_type()) : at::sign(x));
}

/// LibTorch has no arithmetic on 8-bit floats.
at::Tensor wide(const at::Tensor& x) { return at::isFloat8Type(x.scalar_type()) ? x.to(at::kFloat) : x; }

void is_nan(OpCall& call) { call.set(0, at::isnan(wide(call.tensor(0)))); }

void is_inf(OpCall& call) {
  const at::Tensor x = wide(call.tensor(0));
  const bool negative = call.attribute("detect_negative", 1) != 0;
  const bool positive = call.attribute("detect_positive", 1) != 0;
  if (negative && positive) {
    call.set(0, at::isinf(x));
  } else if (negative || positive) {
    call.set(0, negative ? at::isneginf(x) : at::isposinf(x));
  } else {
    call.set(0, at::zeros_like(x, x.options().dtype(at::kBool)));
  }
}

constexpr const char* kFlat = "the gradient is zero wherever it exists";

const RegisterOps entries{
    {.name = "Abs", .function = absolute},
    {.name = "Neg", .function = elementwise<at::neg>},
    {.name = "Sign", .function = sign, .gradient = Gradient::No, .notes = kFlat},
    {.name = "Floor", .function = elementwise<at::floor>, .gradient = Gradient::No, .notes = kFlat},
    {.name = "Ceil", .function = elementwise<at::ceil>, .gradient = Gradient::No, .notes = kFlat},
    {.name = "Round", .function = elementwise<at::round>, .gradient = Gradient::No, .notes = kFlat},
    {.name = "Sqrt", .function = elementwise<at::sqrt>},
    {.name = "Reciprocal", .function = elementwise<at::reciprocal>},
    {.name = "Exp", .function = elementwise<at::exp>},
    {.name = "Log", .function = elementwise<at::log>},
    {.name = "Erf", .function = elementwise<at::erf>},
    {.name = "Sin", .function = elementwise<at::sin>},
    {.name = "Cos", .function = elementwise<at::cos>},
    {.name = "Tan", .function = elementwise<at::tan>},
    {.name = "Asin", .function = elementwise<at::asin>},
    {.name = "Acos", .function = elementwise<at::acos>},
    {.name = "Atan", .function = elementwise<at::atan>},
    {.name = "Sinh", .function = elementwise<at::sinh>},
    {.name = "Cosh", .function = elementwise<at::cosh>},
    {.name = "Tanh", .function = elementwise<at::tanh>},
    {.name = "Asinh", .function = elementwise<at::asinh>},
    {.name = "Acosh", .function = elementwise<at::acosh>},
    {.name = "Atanh", .function = elementwise<at::atanh>},
    {.name = "IsNaN", .function = is_nan, .gradient = Gradient::No},
    {.name = "IsInf", .function = is_inf, .gradient = Gradient::No},
};

}  // namespace
}  // namespace sparsify
