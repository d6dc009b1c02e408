// ai.onnx.preview.training: one step of an optimiser as an operator. Inputs R, T, then the tensors,
// their gradients and one or two groups of state; outputs the new tensors and the new state. The
// formulas are in the standard's text.
#include <ATen/TensorOperators.h>
#include <ATen/ops/sqrt.h>
#include <fmt/core.h>

#include <cmath>

#include "program/op.h"

namespace sparsify {
namespace {

/// How many tensors are optimised at once when each comes with `groups` - 1 others.
size_t tensors_of(const OpCall& call, size_t groups) {
  const size_t given = call.input_count() - 2;
  if (given % groups != 0)
    call.fail(fmt::format("{} tensors do not make groups of {}", given, groups), "check the graph");
  return given / groups;
}

void adagrad(OpCall& call) {
  const size_t count = tensors_of(call, 3);
  const double norm = call.attribute_number("norm_coefficient", 0);
  const double epsilon = call.attribute_number("epsilon", 1e-6);
  const double rate =
      call.number(0) / (1 + call.number(1) * call.attribute_number("decay_factor", 0));
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& x = call.tensor(2 + i);
    const at::Tensor gradient = call.tensor(2 + count + i) + x * norm;
    const at::Tensor squares = call.tensor(2 + 2 * count + i) + gradient * gradient;
    call.set(i, x - gradient * rate / (at::sqrt(squares) + epsilon));
    call.set(count + i, squares);
  }
}

void adam(OpCall& call) {
  const size_t count = tensors_of(call, 4);
  const double norm = call.attribute_number("norm_coefficient", 0);
  const double norm_after = call.attribute_number("norm_coefficient_post", 0);
  const double epsilon = call.attribute_number("epsilon", 1e-6);
  const double alpha = call.attribute_number("alpha", 0.9);
  const double beta = call.attribute_number("beta", 0.999);
  const double steps = call.number(1);
  double rate = call.number(0);
  if (steps > 0) rate *= std::sqrt(1 - std::pow(beta, steps)) / (1 - std::pow(alpha, steps));
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& x = call.tensor(2 + i);
    const at::Tensor gradient = call.tensor(2 + count + i) + x * norm;
    const at::Tensor mean = call.tensor(2 + 2 * count + i) * alpha + gradient * (1 - alpha);
    const at::Tensor squares =
        call.tensor(2 + 3 * count + i) * beta + gradient * gradient * (1 - beta);
    call.set(i, (x - mean * rate / (at::sqrt(squares) + epsilon)) * (1 - norm_after));
    call.set(count + i, mean);
    call.set(2 * count + i, squares);
  }
}

void momentum(OpCall& call) {
  const size_t count = tensors_of(call, 3);
  const double norm = call.attribute_number("norm_coefficient", 0);
  const double alpha = call.attribute_number("alpha", 0);
  const double beta = call.number(1) > 0 ? call.attribute_number("beta", 1) : 1;
  const bool nesterov = call.attribute_text("mode", "standard") == "nesterov";
  const double rate = call.number(0);
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& x = call.tensor(2 + i);
    const at::Tensor gradient = call.tensor(2 + count + i) + x * norm;
    const at::Tensor velocity = call.tensor(2 + 2 * count + i) * alpha + gradient * beta;
    call.set(i, x - (nesterov ? gradient + velocity * alpha : velocity) * rate);
    call.set(count + i, velocity);
  }
}

const RegisterOps entries{"ai.onnx.preview.training",
                          {
                              {.name = "Adagrad",
                               .function = adagrad,
                               .gradient = Gradient::Some,
                               .notes = "not for the learning rate"},
                              {.name = "Adam",
                               .function = adam,
                               .gradient = Gradient::Some,
                               .notes = "not for the learning rate"},
                              {.name = "Momentum",
                               .function = momentum,
                               .gradient = Gradient::Some,
                               .notes = "not for the learning rate"},
                          }};

}  // namespace
}  // namespace sparsify
