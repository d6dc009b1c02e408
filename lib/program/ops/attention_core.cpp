#include "program/ops/attention_core.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>

#include <limits>

namespace sparsify {
namespace {

constexpr double kMasked = -std::numeric_limits<double>::infinity();

at::Tensor combined_mask(const AttentionInputs& inputs) {
  at::Tensor allowed = inputs.allowed;
  if (inputs.plain_causal) {
    const at::Tensor causal = at::ones({inputs.query.size(2), inputs.key.size(2)},
                                       inputs.query.options().dtype(at::kBool))
                                  .tril();
    allowed = allowed.defined() ? allowed.logical_and(causal) : causal;
  }
  return allowed;
}

/// bool -> 0 or -inf, joined with the bias.
at::Tensor additive(const at::Tensor& allowed, const at::Tensor& bias, const at::Tensor& query) {
  if (!allowed.defined()) return bias;
  const at::Tensor base = bias.defined() ? bias : at::Tensor(query.new_zeros({1}));
  return base.masked_fill(allowed.logical_not(), kMasked);
}

at::Tensor repeated_heads(const at::Tensor& tensor, int64_t heads) {
  return tensor.size(1) == heads ? tensor : tensor.repeat_interleave(heads / tensor.size(1), 1);
}

Attended step_by_step(const AttentionInputs& inputs, AttentionScores wanted) {
  const at::Tensor& query = inputs.query;
  const at::Tensor key = repeated_heads(inputs.key, query.size(1));
  const at::Tensor value = repeated_heads(inputs.value, query.size(1));
  at::Tensor scores = at::matmul(query * inputs.scale, key.transpose(2, 3));
  Attended result;
  if (wanted == AttentionScores::Raw) result.scores = scores;
  if (inputs.softcap > 0) scores = at::tanh(scores / inputs.softcap) * inputs.softcap;
  if (wanted == AttentionScores::Capped) result.scores = scores;
  const at::Tensor bias = additive(combined_mask(inputs), inputs.bias, query);
  at::Tensor blind;  // queries that see no key
  if (bias.defined()) {
    scores = scores + bias;
    blind = (bias == kMasked).all(-1, true);
  }
  if (wanted == AttentionScores::Biased) result.scores = scores;
  if (blind.defined()) scores = scores.masked_fill(blind, 0);
  const int64_t keys = scores.size(3);
  if (inputs.sink.defined()) {
    const at::Tensor sink = inputs.sink.to(scores.scalar_type()).view({1, -1, 1, 1});
    scores =
        at::cat({scores, sink.expand({scores.size(0), scores.size(1), scores.size(2), 1})}, -1);
  }
  at::Tensor probabilities =
      at::softmax(scores, -1, inputs.softmax_type).to(query.scalar_type()).narrow(-1, 0, keys);
  if (blind.defined()) probabilities = probabilities.masked_fill(blind, 0);
  if (wanted == AttentionScores::Probabilities) result.scores = probabilities;
  result.output = at::matmul(probabilities, value);
  return result;
}

}  // namespace

Attended attend(const AttentionInputs& inputs, AttentionScores wanted) {
  const bool wider_softmax =
      inputs.softmax_type == at::kDouble && inputs.query.scalar_type() != at::kDouble;
  const bool masked = inputs.allowed.defined() || inputs.bias.defined();
  const bool causal_with_mask = masked && inputs.plain_causal;
  // The fused kernels leave open what a query without keys gives, so masks that could blind one go
  // step by step, except for the triangle, where every query sees itself.
  if (wanted != AttentionScores::None || inputs.softcap > 0 || wider_softmax || causal_with_mask ||
      inputs.allowed.defined() || inputs.sink.defined()) {
    return step_by_step(inputs, wanted);
  }
  const bool grouped = inputs.query.size(1) != inputs.key.size(1);
  const std::optional<at::Tensor> bias =
      inputs.bias.defined()
          ? std::optional(inputs.bias.expand({inputs.query.size(0), inputs.query.size(1),
                                              inputs.query.size(2), inputs.key.size(2)}))
          : std::nullopt;
  return {.output =
              at::scaled_dot_product_attention(inputs.query, inputs.key, inputs.value, bias, 0,
                                               inputs.plain_causal, inputs.scale, grouped)};
}

at::Tensor split_heads(const at::Tensor& tensor, int64_t heads) {
  return tensor.reshape({tensor.size(0), tensor.size(1), heads, tensor.size(2) / heads})
      .transpose(1, 2);
}

at::Tensor join_heads(const at::Tensor& tensor) {
  return tensor.transpose(1, 2).reshape(
      {tensor.size(0), tensor.size(2), tensor.size(1) * tensor.size(3)});
}

at::Tensor window_mask(int64_t queries, int64_t keys, const at::Tensor& offset, int64_t left,
                       int64_t right) {
  const at::Tensor distance = at::arange(keys, offset.options()) -
                              (at::arange(queries, offset.options()).unsqueeze(1) + offset);
  at::Tensor mask = at::ones({1, 1}, offset.options().dtype(at::kBool));
  if (right >= 0) mask = mask.logical_and(distance <= right);
  if (left >= 0) mask = mask.logical_and(distance >= -left);
  return mask;
}

at::Tensor rotate(const at::Tensor& tensor, const at::Tensor& cosine, const at::Tensor& sine,
                  bool interleaved) {
  const int64_t half = cosine.size(-1);
  const at::Tensor turned = tensor.narrow(-1, 0, 2 * half);
  const at::Tensor first =
      interleaved ? turned.slice(-1, 0, std::nullopt, 2) : turned.narrow(-1, 0, half);
  const at::Tensor second =
      interleaved ? turned.slice(-1, 1, std::nullopt, 2) : turned.narrow(-1, half, half);
  const at::Tensor real = first * cosine - second * sine;
  const at::Tensor imaginary = first * sine + second * cosine;
  const at::Tensor result =
      interleaved ? at::stack({real, imaginary}, -1).flatten(-2) : at::cat({real, imaginary}, -1);
  if (2 * half == tensor.size(-1)) return result;
  return at::cat({result, tensor.narrow(-1, 2 * half, tensor.size(-1) - 2 * half)}, -1);
}

}  // namespace sparsify
