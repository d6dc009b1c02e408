// com.microsoft: MoE, a mixture of experts in one node.
#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <limits>

#include "program/op.h"

namespace sparsify {
namespace {

std::optional<at::Tensor> of_expert(const OpCall& call, size_t input, int64_t expert) {
  return call.has(input) ? std::optional(call.tensor(input).select(0, expert)) : std::nullopt;
}

/// min(g, limit) * sigmoid(alpha * the same) * (l within the limit + beta)
at::Tensor swiglu(const OpCall& call, at::Tensor gate, at::Tensor linear) {
  const double limit = call.attribute_number("swiglu_limit", std::numeric_limits<double>::infinity());
  gate = gate.clamp_max(limit);
  linear = linear.clamp(-limit, limit);
  return gate * at::sigmoid(gate * call.attribute_number("activation_alpha", 1)) * (linear + call.attribute_number("activation_beta", 0));
}

at::Tensor activated(const OpCall& call, const at::Tensor& x, const std::string& name) {
  if (name == "relu") return at::relu(x);
  if (name == "gelu") return at::gelu(x, "tanh");
  if (name == "silu") return at::silu(x);
  if (name == "identity") return x;
  call.fail(fmt::format("activation \"{}\" is not known", name), "use relu, gelu, silu, swiglu or identity");
}

/// What one expert makes of its tokens [n, hidden].
at::Tensor expert_output(const OpCall& call, const at::Tensor& tokens, int64_t expert) {
  const std::string activation = call.attribute_text("activation_type", "relu");
  const int64_t fusion = call.attribute("swiglu_fusion", 0);
  at::Tensor inner = at::linear(tokens, call.tensor(2).select(0, expert), of_expert(call, 3, expert));
  if (activation == "swiglu" && fusion == 1) {
    inner = swiglu(call, inner.slice(1, 0, std::nullopt, 2), inner.slice(1, 1, std::nullopt, 2));
  } else if (activation == "swiglu" && fusion == 2) {
    const int64_t half = inner.size(1) / 2;
    inner = swiglu(call, inner.narrow(1, 0, half), inner.narrow(1, half, half));
  } else if (call.has(6)) {
    const at::Tensor linear = at::linear(tokens, call.tensor(6).select(0, expert), of_expert(call, 7, expert));
    inner = activation == "swiglu" ? swiglu(call, inner, linear) : activated(call, inner, activation) * linear;
  } else {
    inner = activated(call, inner, activation);
  }
  return at::linear(inner, call.tensor(4).select(0, expert), of_expert(call, 5, expert));
}

/// input [..., hidden], router [tokens, experts], then weights [experts, out, in] and biases of three layers: the k experts of highest
/// probability see a token, and their outputs are summed with these probabilities.
void mixture_of_experts(OpCall& call) {
  if (call.attribute("use_sparse_mixer", 0) != 0) call.fail("use_sparse_mixer is not supported", "use the softmax router");
  const at::Tensor& input = call.tensor(0);
  const at::Tensor tokens = input.reshape({-1, input.size(-1)});
  at::Tensor weights = at::softmax(call.tensor(1).reshape({tokens.size(0), -1}), 1);
  at::Tensor chosen;
  std::tie(weights, chosen) = weights.topk(call.attribute("k", 1), 1);
  if (call.attribute("normalize_routing_weights", 0) != 0) weights = weights / weights.sum(1, true);
  at::Tensor output = at::zeros_like(tokens);
  for (int64_t expert = 0; expert < call.tensor(2).size(0); ++expert) {
    const at::Tensor found = (chosen == expert).nonzero();  // [n, 2]: token, place among the k
    if (found.size(0) == 0) continue;
    const at::Tensor rows = found.select(1, 0);
    const at::Tensor share = weights.index({rows, found.select(1, 1)}).unsqueeze(1);
    output = output.index_add(0, rows, expert_output(call, tokens.index_select(0, rows), expert) * share);
  }
  call.set(0, output.view(input.sizes()));
}

const RegisterOps entries{"com.microsoft", {{.name = "MoE", .function = mixture_of_experts, .notes = "without the sparse mixer"}}};

}  // namespace
}  // namespace sparsify
