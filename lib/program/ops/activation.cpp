// Activations of one input: elementwise, differentiable, defaults as in the schemas.
#include <ATen/ops/clamp.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>

#include "program/op.h"

namespace sparsify {
namespace {

void relu(OpCall& call) { call.set_like_input(0, at::relu(call.tensor(0))); }
void sigmoid(OpCall& call) { call.set_like_input(0, at::sigmoid(call.tensor(0))); }
void tanh(OpCall& call) { call.set_like_input(0, at::tanh(call.tensor(0))); }

void leaky_relu(OpCall& call) {
  call.set_like_input(0, at::leaky_relu(call.tensor(0), call.attribute_number("alpha", 0.01)));
}

void elu(OpCall& call) { call.set_like_input(0, at::elu(call.tensor(0), call.attribute_number("alpha", 1.0))); }

const RegisterOps entries{
    {.name = "Relu", .function = relu},
    {.name = "Sigmoid", .function = sigmoid},
    {.name = "Tanh", .function = tanh},
    {.name = "LeakyRelu", .function = leaky_relu},
    {.name = "Elu", .function = elu},
};

}  // namespace
}  // namespace sparsify
