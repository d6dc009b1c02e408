// Normalisations. Statistics are computed in the kernels' own wider type, so `stash_type` needs
// nothing.
#include "program/ops/normalization.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/instance_norm.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/rsqrt.h>
#include <fmt/core.h>

#include <algorithm>

#include "program/batch_norm.h"
#include "program/op.h"

namespace sparsify {
namespace {

/// By the formula: for opset 7, which could keep one mean and variance for each element (spatial = 0), and for a
/// gradient to the stored statistics, which LibTorch's kernel does not have.
void batch_normalise_elements(OpCall& call, double epsilon, bool per_channel) {
  const at::Tensor& input = call.tensor(0);
  std::vector<int64_t> shape(static_cast<size_t>(input.dim() > 1 ? input.dim() - 1 : 1), 1);
  shape[0] = -1;
  const auto spread = [&](size_t i) { return per_channel ? call.tensor(i).view(shape) : call.tensor(i); };
  call.set(0, ((input - spread(3)) * (spread(1) * at::rsqrt(spread(4) + epsilon)) + spread(2)).to(input.scalar_type()));
}

/// What the file keeps for inference follows the batches as in training: stored = stored * momentum
/// + batch * (1 - momentum), with the population variance, as ONNX defines its own running outputs.
at::Tensor moved(const at::Tensor& stored, const at::Tensor& batch, double momentum) {
  return stored * momentum + batch.to(stored.scalar_type()) * (1 - momentum);
}

void batch_normalization(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const double epsilon = call.attribute_number("epsilon", 1e-5);
  const double momentum = call.attribute_number("momentum", 0.9);
  if (call.attribute("spatial", 1) == 0) {
    batch_normalise_elements(call, epsilon, /*per_channel=*/false);
    return;
  }
  // Before opset 14 the number of outputs said which mode is meant.
  const bool asks_statistics =
      call.opset() >= 14 ? call.attribute("training_mode", 0) != 0 : call.wants(1);
  const bool is_fixed = FixedNorms::contains(call.tensor(1)) || FixedNorms::contains(call.tensor(3));
  if (!asks_statistics && (is_fixed || !call.training())) {
    const bool records = at::GradMode::is_enabled() && (call.tensor(3).requires_grad() || call.tensor(4).requires_grad());
    if (records) {
      batch_normalise_elements(call, epsilon, /*per_channel=*/true);
      return;
    }
    call.set(0, at::batch_norm(input, call.tensor(1), call.tensor(2), call.tensor(3),
                               call.tensor(4), false, 0, epsilon, true));
    return;
  }
  const auto& [output, mean, variance] = normalise_batch(input, call.tensor(1), call.tensor(2), epsilon, BatchShareGuard::share());
  call.set(0, output);
  const at::Tensor new_mean = moved(call.tensor(3).detach(), mean, momentum);
  const at::Tensor new_variance = moved(call.tensor(4).detach(), variance, momentum);
  if (asks_statistics) {
    call.set(1, new_mean);
    call.set(2, new_variance);
    call.set(3, mean);
    call.set(4, variance);
    return;
  }
  const at::NoGradGuard not_recorded;
  at::Tensor(call.tensor(3)).copy_(new_mean);
  at::Tensor(call.tensor(4)).copy_(new_variance);
}

void instance_normalization(OpCall& call) {
  call.set(0,
           at::instance_norm(call.tensor(0), call.tensor(1), call.tensor(2), std::nullopt,
                             std::nullopt, true, 0, call.attribute_number("epsilon", 1e-5), true));
}

void group_normalization(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const int64_t groups = call.attribute("num_groups", 1);
  at::Tensor scale = call.tensor(1);
  at::Tensor bias = call.tensor(2);
  if (call.opset() < 21) {  // one factor for each group; later versions have one for each channel
    const int64_t size = input.size(1) / groups;
    scale = scale.unsqueeze(1).expand({groups, size}).reshape({-1});
    bias = bias.unsqueeze(1).expand({groups, size}).reshape({-1});
  }
  call.set(
      0, at::group_norm(input, groups, scale, bias, call.attribute_number("epsilon", 1e-5), true));
}

int64_t axis_of(const OpCall& call) {
  return normalise_axis(call, call.attribute("axis", -1), call.tensor(0).dim());
}

void layer_normalization(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const std::optional<at::Tensor> bias = call.has(2) ? std::optional(call.tensor(2)) : std::nullopt;
  const LayerNormalised result =
      layer_normalise(input, call.tensor(1), bias, axis_of(call),
                      call.attribute_number("epsilon", 1e-5), call.wants(1) || call.wants(2));
  call.set(0, result.output);
  if (call.wants(1)) call.set(1, result.mean);
  if (call.wants(2)) call.set(2, result.inverse_deviation);
}

void rms_normalization(OpCall& call) {
  const LayerNormalised result =
      rms_normalise(call.tensor(0), call.tensor(1), axis_of(call),
                    call.attribute_number("epsilon", 1e-5), call.wants(1));
  call.set(0, result.output);
  if (call.wants(1)) call.set(1, result.inverse_deviation);
}

/// Krizhevsky 2012: x / (bias + alpha / size * sum of squares of `size` neighbouring
/// channels)^beta.
void lrn(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const int64_t size = call.attribute("size", 1);
  const int64_t before = (size - 1) / 2;
  std::vector<int64_t> pads(static_cast<size_t>(2 * (input.dim() - 1)), 0);
  pads[pads.size() - 2] = before;
  pads[pads.size() - 1] = size - 1 - before;
  const at::Tensor squares = at::constant_pad_nd(input * input, pads, 0);
  at::Tensor sum;
  for (int64_t offset = 0; offset < size; ++offset) {
    const at::Tensor part = squares.slice(1, offset, offset + input.size(1));
    sum = sum.defined() ? sum + part : part;
  }
  const double alpha = call.attribute_number("alpha", 1e-4) / static_cast<double>(size);
  call.set(0, input / (sum * alpha + call.attribute_number("bias", 1))
                          .pow(call.attribute_number("beta", 0.75)));
}

const RegisterOps entries{
    {.name = "BatchNormalization",
     .function = batch_normalization,
     .notes = "in training the stored mean and variance follow the batches"},
    {.name = "InstanceNormalization", .function = instance_normalization},
    {.name = "GroupNormalization", .function = group_normalization},
    {.name = "LayerNormalization", .function = layer_normalization},
    {.name = "RMSNormalization", .function = rms_normalization},
    {.name = "SimplifiedLayerNormalization",
     .function = rms_normalization,
     .notes = "what ONNX Runtime's optimiser makes of RMS norms"},
    {.name = "LRN", .function = lrn},
};
const RegisterOps contributed{
    "com.microsoft",
    {
        {.name = "SimplifiedLayerNormalization", .function = rms_normalization},
    }};

/// The scale over exactly the normalised axes, if it does not vary over the others.
std::optional<at::Tensor> over(const at::Tensor& scale, const std::vector<int64_t>& shape) {
  at::Tensor view = scale;
  while (view.dim() > static_cast<int64_t>(shape.size()) && view.size(0) == 1)
    view = view.squeeze(0);
  if (view.dim() > static_cast<int64_t>(shape.size())) return std::nullopt;
  return view.sizes().equals(shape) ? view : view.expand(shape).contiguous();
}

at::Tensor in_float(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

}  // namespace

LayerNormalised layer_normalise(const at::Tensor& input, const at::Tensor& scale,
                                const std::optional<at::Tensor>& bias, int64_t axis, double epsilon,
                                bool statistics) {
  const std::vector<int64_t> shape = input.sizes().slice(static_cast<size_t>(axis)).vec();
  const std::optional<at::Tensor> weight = over(scale, shape);
  const std::optional<at::Tensor> shift = bias ? over(*bias, shape) : std::nullopt;
  const bool fused = weight && bias.has_value() == shift.has_value();
  LayerNormalised result;
  // The kernel's own mean and deviation carry no gradient.
  const bool records = statistics && at::GradMode::is_enabled() && input.requires_grad();
  if (statistics && !records) {
    std::tie(result.output, result.mean, result.inverse_deviation) = at::native_layer_norm(
        input, shape, fused ? weight : std::nullopt, fused ? shift : std::nullopt, epsilon);
    result.mean = in_float(result.mean);
    result.inverse_deviation = in_float(result.inverse_deviation);
  } else {
    result.output = at::layer_norm(input, shape, fused ? weight : std::nullopt,
                                   fused ? shift : std::nullopt, epsilon);
  }
  if (records) {
    std::vector<int64_t> axes;
    for (int64_t at = axis; at < input.dim(); ++at) axes.push_back(at);
    const at::Tensor wide = in_float(input);
    result.mean = at::mean(wide, axes, true);
    const at::Tensor centred = wide - result.mean;
    result.inverse_deviation = at::rsqrt(at::mean(centred * centred, axes, true) + epsilon);
  }
  if (!fused) {
    result.output = result.output * scale;
    if (bias) result.output = result.output + *bias;
  }
  return result;
}

LayerNormalised rms_normalise(const at::Tensor& input, const at::Tensor& scale, int64_t axis,
                              double epsilon, bool statistics) {
  const std::vector<int64_t> shape = input.sizes().slice(static_cast<size_t>(axis)).vec();
  const std::optional<at::Tensor> weight = over(scale, shape);
  LayerNormalised result;
  // A scale of another type decides the output's type.
  const bool fused = weight && weight->scalar_type() == input.scalar_type();
  result.output = at::rms_norm(input, shape, fused ? weight : std::nullopt, epsilon);
  if (!fused) result.output = result.output.to(scale.scalar_type()) * scale;
  if (statistics) {
    std::vector<int64_t> axes;
    for (int64_t at = axis; at < input.dim(); ++at) axes.push_back(at);
    const at::Tensor wide = in_float(input);
    result.inverse_deviation = at::rsqrt(at::mean(wide * wide, axes, true) + epsilon);
  }
  return result;
}

}  // namespace sparsify
