// Activations: elementwise, differentiable, defaults as in the schemas.
#include <ATen/TensorOperators.h>
#include <ATen/ops/celu.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/threshold.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

void leaky_relu(OpCall& call) {
  call.set_like_input(0, at::leaky_relu(call.tensor(0), call.attribute_number("alpha", 0.01)));
}

void elu(OpCall& call) { call.set_like_input(0, at::elu(call.tensor(0), call.attribute_number("alpha", 1.0))); }
void celu(OpCall& call) { call.set_like_input(0, at::celu(call.tensor(0), call.attribute_number("alpha", 1.0))); }

/// gamma * (x > 0 ? x : alpha * (exp(x) - 1)); the defaults are the schema's float32 constants.
void selu(OpCall& call) {
  const double alpha = call.attribute_number("alpha", 1.67326319217681884765625);
  const double gamma = call.attribute_number("gamma", 1.05070102214813232421875);
  call.set_like_input(0, at::elu(call.tensor(0), alpha, gamma));
}

/// The slope is broadcast to x; before opset 7 it holds one number a channel.
void prelu(OpCall& call) {
  auto [x, slope] = operands(call);
  if (call.opset() < 7 && slope.dim() == 1 && slope.numel() > 1 && x.dim() > 1) {
    std::vector<int64_t> channels(static_cast<size_t>(x.dim()), 1);
    channels[1] = slope.numel();
    slope = slope.view(channels);
  }
  call.set_like_input(0, at::where(x < 0, slope * x, x));
}

void thresholded_relu(OpCall& call) {
  call.set_like_input(0, at::threshold(call.tensor(0), call.attribute_number("alpha", 1.0), 0));
}

void hard_sigmoid(OpCall& call) {
  const double alpha = call.attribute_number("alpha", 0.2);
  const double beta = call.attribute_number("beta", 0.5);
  call.set_like_input(0, at::clamp(call.tensor(0) * alpha + beta, 0, 1));
}

at::Tensor softsign_of(const at::Tensor& x) { return x / (x.abs() + 1); }
at::Tensor softplus_of(const at::Tensor& x) { return at::softplus(x); }

/// x * sigmoid(alpha * x)
void swish(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const double alpha = call.attribute_number("alpha", 1.0);
  call.set_like_input(0, x * at::sigmoid(alpha == 1.0 ? x : x * alpha));
}

void gelu(OpCall& call) {
  call.set_like_input(0, at::gelu(call.tensor(0), call.attribute_text("approximate", "none")));
}

/// Moves x towards zero by `bias` outside [-lambd, lambd] and zeroes it inside. Integer types are allowed.
void shrink(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const double bias = call.attribute_number("bias", 0.0);
  const double lambda = call.attribute_number("lambd", 0.5);
  const at::Tensor moved = at::where(x < -lambda, x + bias, at::where(x > lambda, x - bias, at::zeros_like(x)));
  call.set_like_input(0, moved.to(x.scalar_type()));
}

const RegisterOps entries{
    {.name = "Relu", .function = elementwise<at::relu>},
    {.name = "LeakyRelu", .function = leaky_relu},
    {.name = "PRelu", .function = prelu},
    {.name = "ThresholdedRelu", .function = thresholded_relu},
    {.name = "Elu", .function = elu},
    {.name = "Celu", .function = celu},
    {.name = "Selu", .function = selu},
    {.name = "Gelu", .function = gelu},
    {.name = "Sigmoid", .function = elementwise<at::sigmoid>},
    {.name = "HardSigmoid", .function = hard_sigmoid},
    {.name = "HardSwish", .function = elementwise<at::hardswish>},
    {.name = "Swish", .function = swish},
    {.name = "Mish", .function = elementwise<at::mish>},
    {.name = "Softplus", .function = elementwise<softplus_of>},
    {.name = "Softsign", .function = elementwise<softsign_of>},
    {.name = "Shrink", .function = shrink},
};

}  // namespace
}  // namespace sparsify
