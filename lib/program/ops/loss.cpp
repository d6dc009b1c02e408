// Losses of training graphs.
#include <ATen/TensorOperators.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "program/op.h"

namespace sparsify {
namespace {

/// loss[n, d1 ...] = -weight[c] * log_probability[n, c, d1 ...] with c = labels[n, d1 ...], 0 where c is ignore_index.
/// `mean` divides by the sum of the weights that took part, as the schema says.
at::Tensor weighted_loss(const OpCall& call, const at::Tensor& log_probability) {
  const std::string reduction = call.attribute_text("reduction", "mean");
  const at::Tensor labels = call.tensor_on(1, log_probability).to(at::kLong);
  const bool ignores = call.has_attribute("ignore_index");
  const int64_t ignored = call.attribute("ignore_index", 0);
  const at::Tensor counts = ignores ? labels != ignored : at::ones_like(labels, labels.options().dtype(at::kBool));
  const at::Tensor safe = ignores ? at::where(counts, labels, at::zeros_like(labels)) : labels;

  const at::Tensor picked = at::gather(log_probability, 1, safe.unsqueeze(1)).squeeze(1);
  at::Tensor weight = counts.to(log_probability.scalar_type());
  if (call.has(2)) {
    weight = weight * at::index_select(call.tensor_on(2, log_probability), 0, safe.flatten()).view(safe.sizes());
  }
  const at::Tensor loss = at::where(counts, -picked * weight, at::zeros_like(picked));
  if (reduction == "none") return loss;
  if (reduction == "sum") return loss.sum();
  if (reduction == "mean") return loss.sum() / weight.sum();
  call.fail("the reduction is \"" + reduction + "\"", "it must be none, sum or mean");
}

void negative_log_likelihood(OpCall& call) { call.set_like_input(0, weighted_loss(call, call.tensor(0))); }

void softmax_cross_entropy(OpCall& call) {
  const at::Tensor log_probability = at::log_softmax(call.tensor(0), 1);
  call.set_like_input(0, weighted_loss(call, log_probability));
  call.set_like_input(1, log_probability);
}

constexpr const char* kNotes = "reaches the scores and the weights";

const RegisterOps entries{
    {.name = "NegativeLogLikelihoodLoss", .function = negative_log_likelihood, .notes = kNotes},
    {.name = "SoftmaxCrossEntropyLoss", .function = softmax_cross_entropy, .notes = kNotes},
};

}  // namespace
}  // namespace sparsify
