#include "program/batch_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

namespace sparsify {
namespace {

std::vector<int64_t> all_but_channels(const at::Tensor& input) {
  std::vector<int64_t> axes;
  for (int64_t axis = 0; axis < input.dim(); ++axis) {
    if (axis != 1) axes.push_back(axis);
  }
  return axes;
}

at::Tensor spread(const at::Tensor& per_channel, const at::Tensor& like) {
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[1] = -1;
  return per_channel.view(shape);
}

/// Sums of [channels] tensors over all processes, float64; nothing from one that only keeps step.
std::vector<at::Tensor> summed(const std::vector<at::Tensor>& parts, const BatchShare& share) {
  at::Tensor all = at::cat(parts).to(at::kCPU, at::kDouble);
  if (!share.counts) all = at::zeros_like(all);
  share.sum_(all);
  std::vector<at::Tensor> sums;
  int64_t at = 0;
  for (const at::Tensor& part : parts) {
    sums.push_back(all.narrow(0, at, part.numel()).to(part.device()));
    at += part.numel();
  }
  return sums;
}

/// The batch's mean and variance come with the sums that forward makes; backward needs two more.
struct SharedBatchNorm : torch::autograd::Function<SharedBatchNorm> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& input, const at::Tensor& scale,
                                                const at::Tensor& bias, double epsilon, const BatchShare* share) {
    const std::vector<int64_t> axes = all_but_channels(input);
    const double count = static_cast<double>(input.numel()) / static_cast<double>(input.size(1));
    const at::Tensor own_mean = at::mean(input, axes, false, at::kDouble);
    const at::Tensor squares = at::sum((input - spread(own_mean.to(input.scalar_type()), input)).square(), axes, false, at::kDouble);
    const std::vector<at::Tensor> sums = summed({own_mean * count, squares + own_mean.square() * count, at::full({1}, count, own_mean.options())}, *share);
    const double total = sums[2].item<double>();
    const at::Tensor mean = sums[0] / total;
    const at::Tensor variance = (sums[1] / total - mean.square()).clamp_min(0);
    const at::Tensor inverse = at::rsqrt(variance + epsilon).to(input.scalar_type());
    const at::Tensor normalised = (input - spread(mean.to(input.scalar_type()), input)) * spread(inverse, input);
    context->save_for_backward({normalised, inverse, scale});
    context->saved_data["total"] = total;
    context->saved_data["share"] = static_cast<int64_t>(reinterpret_cast<intptr_t>(share));
    const at::Tensor out_mean = mean.to(scale.scalar_type());
    const at::Tensor out_variance = variance.to(scale.scalar_type());
    context->mark_non_differentiable({out_mean, out_variance});
    return {normalised * spread(scale, input) + spread(bias, input), out_mean, out_variance};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, const torch::autograd::variable_list& gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const at::Tensor& normalised = saved[0];
    const at::Tensor& inverse = saved[1];
    const at::Tensor& scale = saved[2];
    const auto& share = *reinterpret_cast<const BatchShare*>(static_cast<intptr_t>(context->saved_data["share"].toInt()));
    const double total = context->saved_data["total"].toDouble();
    const at::Tensor& outer = gradients[0];
    const std::vector<int64_t> axes = all_but_channels(normalised);
    const at::Tensor to_bias = at::sum(outer, axes, false, at::kDouble);
    const at::Tensor to_scale = at::sum(outer * normalised, axes, false, at::kDouble);
    const std::vector<at::Tensor> sums = summed({to_bias, to_scale}, share);
    at::Tensor inner = outer;
    if (share.counts) {
      const auto mean = [&](const at::Tensor& sum) { return spread((sum / total).to(outer.scalar_type()), outer); };
      inner = outer - mean(sums[0]) - normalised * mean(sums[1]);
    }
    return {inner * spread(inverse * scale, outer), to_scale.to(scale.scalar_type()), to_bias.to(scale.scalar_type()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

namespace {
thread_local const BatchShare* shared_batch = nullptr;
}

namespace {
thread_local const std::set<const void*>* fixed_norms = nullptr;
}

FixedNorms::FixedNorms(const std::vector<at::Tensor>& tensors) : before_(fixed_norms) {
  for (const at::Tensor& tensor : tensors) own_.insert(tensor.unsafeGetTensorImpl());
  fixed_norms = &own_;
}
FixedNorms::~FixedNorms() { fixed_norms = before_; }
bool FixedNorms::contains(const at::Tensor& tensor) { return fixed_norms != nullptr && fixed_norms->contains(tensor.unsafeGetTensorImpl()); }

BatchShareGuard::BatchShareGuard(const BatchShare* share) : before_(shared_batch) { shared_batch = share; }
BatchShareGuard::~BatchShareGuard() { shared_batch = before_; }
const BatchShare* BatchShareGuard::share() { return shared_batch; }

NormalisedBatch normalise_batch(const at::Tensor& input, const at::Tensor& scale, const at::Tensor& bias, double epsilon, const BatchShare* share) {
  if (share != nullptr) {
    const torch::autograd::variable_list all = SharedBatchNorm::apply(input.to(scale.scalar_type()), scale, bias, epsilon, share);
    return {all[0].to(input.scalar_type()), all[1].detach(), all[2].detach()};
  }
  const auto& [output, mean, inverse] = at::native_batch_norm(input, scale, bias, std::nullopt, std::nullopt, true, 0, epsilon);
  return {output, mean.detach(), inverse.detach().pow(-2) - epsilon};
}

}  // namespace sparsify
