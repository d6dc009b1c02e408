// Attention and what stands around it: rotary embeddings, caches, linear attention with a state.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "program/op.h"
#include "program/ops/attention_core.h"

namespace sparsify {
namespace {

/// A mask may be shorter than the keys; the rest is masked.
at::Tensor padded_mask(const at::Tensor& mask, int64_t keys) {
  const int64_t missing = keys - mask.size(-1);
  if (missing <= 0) return mask;
  return at::constant_pad_nd(
      mask, {0, missing},
      mask.scalar_type() == at::kBool ? 0 : -std::numeric_limits<double>::infinity());
}

void attention(OpCall& call) {
  AttentionInputs inputs{.query = call.tensor(0), .key = call.tensor(1), .value = call.tensor(2)};
  const bool packed = inputs.query.dim() == 3;
  if (packed) {
    const int64_t query_heads = call.attribute("q_num_heads", 0);
    const int64_t key_heads = call.attribute("kv_num_heads", 0);
    if (query_heads < 1 || key_heads < 1)
      call.fail("inputs of rank 3 need q_num_heads and kv_num_heads", "export the model again");
    inputs.query = split_heads(inputs.query, query_heads);
    inputs.key = split_heads(inputs.key, key_heads);
    inputs.value = split_heads(inputs.value, key_heads);
  }
  int64_t past = 0;
  if (call.has(4)) {
    past = call.tensor(4).size(2);
    inputs.key = at::cat({call.tensor(4), inputs.key}, 2);
    inputs.value = at::cat({call.tensor(5), inputs.value}, 2);
  }
  const at::Tensor& query = inputs.query;
  const int64_t queries = query.size(2);
  const int64_t keys = inputs.key.size(2);
  inputs.scale = call.has_attribute("scale") ? call.attribute_number("scale", 1)
                                             : 1 / std::sqrt(static_cast<double>(query.size(3)));
  inputs.softcap = call.attribute_number("softcap", 0);
  if (call.has_attribute("softmax_precision")) {
    inputs.softmax_type = carrier_of(static_cast<DType>(call.attribute("softmax_precision", 1)));
  }

  const auto restrict = [&inputs](const at::Tensor& mask) {
    inputs.allowed = inputs.allowed.defined() ? inputs.allowed.logical_and(mask) : mask;
  };
  if (call.has(3)) {
    const at::Tensor mask = padded_mask(call.tensor_on(3, query), keys);
    if (mask.scalar_type() == at::kBool)
      restrict(mask);
    else
      inputs.bias = mask;
  }
  at::Tensor offset = integer_tensor({past}).to(query.device());  // position of the first query
  const bool external_cache = call.has(6);
  if (external_cache) {
    const at::Tensor valid = call.tensor_on(6, query).to(at::kLong).view({-1, 1, 1, 1});
    restrict(at::arange(keys, valid.options()) < valid);
    offset = valid - queries;
  }
  const int64_t left = call.attribute("left_window_size", -1);
  const int64_t right = call.attribute("right_window_size", -1);
  const bool causal = call.attribute("is_causal", 0) != 0;
  inputs.plain_causal = causal && past == 0 && !external_cache;
  if (causal && !inputs.plain_causal) restrict(window_mask(queries, keys, offset, -1, 0));
  if (left >= 0 || right >= 0) restrict(window_mask(queries, keys, offset, left, right));

  constexpr AttentionScores kModes[] = {AttentionScores::Raw, AttentionScores::Capped,
                                        AttentionScores::Biased, AttentionScores::Probabilities};
  const int64_t mode = call.attribute("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    call.fail(fmt::format("qk_matmul_output_mode is {}", mode), "use 0 to 3");
  const Attended result = attend(inputs, call.wants(3) ? kModes[mode] : AttentionScores::None);
  call.set(0, packed ? join_heads(result.output) : result.output);
  call.set(1, inputs.key);
  call.set(2, inputs.value);
  if (call.wants(3)) call.set(3, result.scores);
}

void rotary_embedding(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const bool packed = input.dim() == 3;
  const at::Tensor heads = packed ? split_heads(input, call.attribute("num_heads", 1)) : input;
  at::Tensor cosine = call.tensor(1);
  at::Tensor sine = call.tensor(2);
  if (call.has(3)) {  // caches by position
    const at::Tensor positions = call.tensor_on(3, input);
    cosine = cosine.index_select(0, positions.reshape({-1}))
                 .reshape({positions.size(0), positions.size(1), -1});
    sine = sine.index_select(0, positions.reshape({-1}))
               .reshape({positions.size(0), positions.size(1), -1});
  }
  const at::Tensor result =
      rotate(heads, cosine.unsqueeze(1), sine.unsqueeze(1), call.attribute("interleaved", 0) != 0);
  call.set(0, packed ? join_heads(result) : result);
}

/// Writes `update` into a cache along `axis`, each sample of the batch at its own place.
void tensor_scatter(OpCall& call) {
  const at::Tensor& cache = call.tensor(0);
  const at::Tensor& update = call.tensor(1);
  const int64_t axis = normalise_axis(call, call.attribute("axis", -2), cache.dim());
  const int64_t length = update.size(axis);
  at::Tensor places =
      at::arange(length, at::TensorOptions(at::kLong).device(cache.device())).unsqueeze(0);
  if (call.has(2)) places = places + call.tensor_on(2, cache).to(at::kLong).view({-1, 1});
  if (call.attribute_text("mode", "linear") == "circular")
    places = places.remainder(cache.size(axis));
  std::vector<int64_t> shape(static_cast<size_t>(cache.dim()), 1);
  shape[0] = places.size(0);
  shape[static_cast<size_t>(axis)] = length;
  call.set_like_input(0, cache.scatter(axis, places.reshape(shape).expand_as(update), update));
}

/// Recurrent attention: a matrix of d_k x d_v for each head is the memory (the rules are in the
/// standard's text).
void linear_attention(OpCall& call) {
  const int64_t query_heads = call.attribute("q_num_heads", 1);
  const int64_t key_heads = call.attribute("kv_num_heads", 1);
  const std::string rule = call.attribute_text("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    call.fail(fmt::format("update_rule is \"{}\"", rule),
              "use linear, gated, delta or gated_delta");
  if (call.attribute("state_window", 0) != 0) call.fail("states of several positions are not supported", "export with state_window = 0");
  const at::ScalarType type = call.tensor(0).scalar_type();
  const at::ScalarType computed = type == at::kDouble ? type : at::kFloat;
  at::Tensor query = split_heads(call.tensor(0).to(computed), query_heads);
  if (query_heads < key_heads) query = query.repeat_interleave(key_heads / query_heads, 1);
  const at::Tensor key = split_heads(call.tensor(1).to(computed), key_heads);
  const at::Tensor value = split_heads(call.tensor(2).to(computed), key_heads);
  const int64_t batch = query.size(0);
  const int64_t times = query.size(2);
  const double given_scale = call.attribute_number("scale", 0);
  const double scale =
      given_scale == 0 ? 1 / std::sqrt(static_cast<double>(query.size(3))) : given_scale;

  at::Tensor state =
      call.has(3) ? call.tensor(3).to(computed)
                  : at::Tensor(key.new_zeros({batch, key_heads, key.size(3), value.size(3)}));
  at::Tensor decay;  // [B, H, T, d_k or 1]
  if (gated) decay = at::exp(split_heads(call.tensor(4).to(computed), key_heads));
  at::Tensor rate;  // [B, H or 1, T, 1]
  if (delta) rate = call.tensor(5).to(computed).transpose(1, 2).unsqueeze(3);

  std::vector<at::Tensor> outputs;
  for (int64_t time = 0; time < times; ++time) {
    const at::Tensor k = key.select(2, time).unsqueeze(3);  // [B, H, d_k, 1]
    at::Tensor v = value.select(2, time).unsqueeze(2);      // [B, H, 1, d_v]
    if (gated) state = state * decay.select(2, time).unsqueeze(3);
    if (delta) v = (v - at::matmul(k.transpose(2, 3), state)) * rate.select(2, time).unsqueeze(3);
    state = state + k * v;
    const at::Tensor shared =
        query_heads <= key_heads ? state : state.repeat_interleave(query_heads / key_heads, 1);
    outputs.push_back(at::matmul(query.select(2, time).unsqueeze(2), shared).squeeze(2) * scale);
  }
  const at::Tensor output =
      outputs.empty() ? at::Tensor(query.new_zeros({batch, query.size(1), 0, value.size(3)}))
                      : at::stack(outputs, 2);
  call.set(0, join_heads(output).to(type));
  call.set(1, state.to(call.has(3) ? call.tensor(3).scalar_type() : type));
}

/// Depthwise convolution that sees the past only: input [B, C, L], weight [C, 1, k], past_state [B,
/// C, k - 1].
void causal_conv_with_state(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor& weight = call.tensor(1);
  if (call.attribute("ndim", 1) != 1 || call.attribute("channels_last", 0) != 0 || call.attribute("state_window", 0) != 0) {
    call.fail("several spatial axes, channels_last and states of several positions are not supported", "export one axis, channels first");
  }
  const int64_t channels = input.size(1);
  const int64_t dilation = call.attribute("dilation", 1);  // com.microsoft only
  const int64_t carried = (weight.size(2) - 1) * dilation;
  const at::Tensor past = call.has(3)
                              ? call.tensor(3)
                              : at::Tensor(input.new_zeros({input.size(0), channels, carried}));
  const at::Tensor whole = at::cat({past, input}, 2);
  const std::optional<at::Tensor> bias = call.has(2) ? std::optional(call.tensor(2)) : std::nullopt;
  at::Tensor output = at::conv1d(whole, weight, bias, at::IntArrayRef{1}, at::IntArrayRef{0},
                                 at::IntArrayRef{dilation}, channels);
  const std::string activation = call.attribute_text("activation", "none");
  if (activation == "silu" || activation == "swish") output = at::silu(output);
  call.set(0, output);
  call.set(1, whole.narrow(2, whole.size(2) - carried, carried).contiguous());
}

const RegisterOps entries{
    {.name = "Attention", .function = attention},
    {.name = "RotaryEmbedding", .function = rotary_embedding},
    {.name = "TensorScatter", .function = tensor_scatter},
    {.name = "LinearAttention", .function = linear_attention},
    {.name = "CausalConvWithState", .function = causal_conv_with_state},
    {.name = "LinearAttention", .function = linear_attention, .notes = "without state windows",
     .domain = "com.microsoft"},
    {.name = "CausalConvWithState", .function = causal_conv_with_state, .notes = "one axis, channels first, without state windows",
     .domain = "com.microsoft"},
};

}  // namespace
}  // namespace sparsify
