// com.microsoft: attention with projections, masks and caches as ONNX Runtime defines them
// (docs/ContribOperators.md of its repository).
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "program/op.h"
#include "program/ops/attention_core.h"
#include "program/ops/contrib_quantized.h"

namespace sparsify {
namespace {

double scale_of(const OpCall& call, int64_t head_size) {
  const double given = call.attribute_number("scale", 0);
  return given == 0 ? 1 / std::sqrt(static_cast<double>(head_size)) : given;
}

at::Tensor plus(const at::Tensor& bias, const at::Tensor& more) {
  return bias.defined() ? bias + more : more;
}

/// Padding as an additive bias: masked places get `mask_filter_value`, not -inf, as in ONNX
/// Runtime.
///   mask  [B, total], [B, S, total], [B] (valid lengths), or [2 * B] (ends, then starts)
at::Tensor padding_bias(const OpCall& call, const at::Tensor& mask, int64_t batch, int64_t keys,
                        const at::Tensor& like) {
  const at::Tensor place = at::arange(keys, at::TensorOptions(at::kLong).device(like.device()));
  at::Tensor visible;
  if (mask.dim() == 1 && mask.size(0) == batch) {
    visible = (place < mask.to(at::kLong).view({batch, 1})).view({batch, 1, 1, keys});
  } else if (mask.dim() == 1 && mask.size(0) == 2 * batch) {
    const at::Tensor bounds = mask.to(at::kLong);
    const at::Tensor end = bounds.narrow(0, 0, batch).view({batch, 1});
    const at::Tensor start = bounds.narrow(0, batch, batch).view({batch, 1});
    visible = (place < end).logical_and(place >= start).view({batch, 1, 1, keys});
  } else if (mask.dim() == 2) {
    visible = (mask > 0).view({mask.size(0), 1, 1, mask.size(1)});
  } else if (mask.dim() == 3) {
    visible = (mask > 0).unsqueeze(1);
  } else {
    call.fail(fmt::format("a padding mask of shape {} is not supported", Value(mask).describe()),
              "use a mask of rank 1 to 3");
  }
  const double filler = call.attribute_number("mask_filter_value", -10000.0);
  return visible.logical_not().to(like.scalar_type()) * filler;
}

/// The causal triangle that ends at the last key.
void restrict_to_past(AttentionInputs& inputs, int64_t past) {
  if (past == 0 && inputs.query.size(2) == inputs.key.size(2) && !inputs.bias.defined()) {
    inputs.plain_causal = true;
    return;
  }
  const at::Tensor offset = integer_tensor({past}).to(inputs.query.device());
  inputs.allowed = window_mask(inputs.query.size(2), inputs.key.size(2), offset, -1, 0);
}

/// Attention of projected inputs [B, S, q | k | v]; `mask`, `past` and `bias` are inputs of the node.
void attend_projected(OpCall& call, const at::Tensor& projected, size_t mask, size_t past_state, size_t bias) {
  const int64_t heads = call.attribute("num_heads", 1);
  if (call.attribute("do_rotary", 0) != 0 || call.attribute("past_present_share_buffer", 0) != 0) {
    call.fail("rotary embedding inside the operator and shared cache buffers are not supported",
              "export without ONNX Runtime's optimiser");
  }
  std::vector<int64_t> sizes = call.attribute_integers("qkv_hidden_sizes");
  if (sizes.empty()) sizes.assign(3, projected.size(2) / 3);
  const std::vector<at::Tensor> parts = projected.split_with_sizes(sizes, 2);
  AttentionInputs inputs{.query = split_heads(parts[0], heads),
                         .key = split_heads(parts[1], heads),
                         .value = split_heads(parts[2], heads)};
  int64_t past = 0;
  if (call.has(past_state)) {
    const at::Tensor& state = call.tensor(past_state);  // [2, B, heads, P, D]
    past = state.size(3);
    inputs.key = at::cat({state.select(0, 0), inputs.key}, 2);
    inputs.value = at::cat({state.select(0, 1), inputs.value}, 2);
  }
  inputs.scale = scale_of(call, inputs.query.size(3));
  if (call.has(mask)) {
    inputs.bias = padding_bias(call, call.tensor_on(mask, projected), projected.size(0), inputs.key.size(2), projected);
  }
  if (call.has(bias)) inputs.bias = plus(inputs.bias, call.tensor(bias));
  if (call.attribute("unidirectional", 0) != 0) restrict_to_past(inputs, past);
  call.set(0, join_heads(attend(inputs).output));
  if (call.wants(1)) call.set(1, at::stack({inputs.key, inputs.value}));
}

/// input [B, S, I], weights [I, q | k | v], bias, mask_index, past, attention_bias
void attention(OpCall& call) {
  at::Tensor projected = at::matmul(call.tensor(0), call.tensor(1));
  if (call.has(2)) projected = projected + call.tensor(2);
  attend_projected(call, projected, 3, 4, 5);
}

/// input, weight, bias, input_scale, weight_scale, mask_index, input_zero_point, weight_zero_point, past. Scale and zero point of the
/// weight are one number or one a column.
void quantized_attention(OpCall& call) {
  constexpr size_t kNone = SIZE_MAX;
  const at::Tensor product = at::matmul(dequantised(call, 0, 3, 6), dequantised(call, 1, 4, 7));
  attend_projected(call, call.has(2) ? product + call.tensor(2) : product, 5, 8, kNone);
}

void multi_head_attention(OpCall& call) {
  const int64_t heads = call.attribute("num_heads", 1);
  if (call.has(8) || call.has(9))
    call.fail("shared cache buffers and beam search are not supported",
              "use past_key and past_value");
  at::Tensor query = call.tensor(0);
  AttentionInputs inputs;
  at::Tensor bias[3];
  if (call.has(3)) {
    const at::Tensor& all = call.tensor(3);
    const int64_t hidden = query.dim() == 5 ? query.size(2) * query.size(4) : query.size(2);
    const std::vector<at::Tensor> parts =
        all.split_with_sizes({hidden, hidden, all.size(0) - 2 * hidden}, 0);
    std::copy(parts.begin(), parts.end(), bias);
  }
  const auto with_bias = [&](const at::Tensor& packed,
                             int which) {  // [B, S, H] -> [B, heads, S, D]
    return split_heads(bias[which].defined() ? packed + bias[which] : packed, heads);
  };
  if (query.dim() == 5) {  // [B, S, heads, 3, D]
    inputs.query = with_bias(query.select(3, 0).flatten(2), 0);
    inputs.key = with_bias(query.select(3, 1).flatten(2), 1);
    inputs.value = with_bias(query.select(3, 2).flatten(2), 2);
  } else {
    inputs.query = with_bias(query, 0);
    const at::Tensor& key = call.tensor(1);
    if (key.dim() == 5) {  // [B, L, heads, 2, D]
      inputs.key = with_bias(key.select(3, 0).flatten(2), 1);
      inputs.value = with_bias(key.select(3, 1).flatten(2), 2);
    } else if (key.dim() == 4) {  // projected before: [B, heads, L, D]
      inputs.key = key;
      inputs.value = call.tensor(2);
    } else {
      inputs.key = with_bias(key, 1);
      inputs.value = with_bias(call.tensor(2), 2);
    }
  }
  int64_t past = 0;
  if (call.has(6)) {
    past = call.tensor(6).size(2);
    inputs.key = at::cat({call.tensor(6), inputs.key}, 2);
    inputs.value = at::cat({call.tensor(7), inputs.value}, 2);
  }
  inputs.scale = scale_of(call, inputs.query.size(3));
  if (call.has(4))
    inputs.bias =
        padding_bias(call, call.tensor_on(4, query), query.size(0), inputs.key.size(2), query);
  if (call.has(5)) inputs.bias = plus(inputs.bias, call.tensor(5));
  if (call.attribute("unidirectional", 0) != 0) restrict_to_past(inputs, past);
  const Attended result =
      attend(inputs, call.wants(3) ? AttentionScores::Probabilities : AttentionScores::None);
  call.set(0, join_heads(result.output));
  call.set(1, inputs.key);
  call.set(2, inputs.value);
  if (call.wants(3)) call.set(3, result.scores);
}

/// One step of a decoder: query, key, value, mask_index, attention_bias, past_key, past_value, past_sequence_length, ..., bias at 10. A
/// key of rank 4 is the projected memory of a cross-attention. With past_present_share_buffer the past has room for more steps than it
/// holds, and its length is an input.
void decoder_attention(OpCall& call) {
  if (call.has(9)) call.fail("beam search is not supported", "export without beam search");
  const int64_t heads = call.attribute("num_heads", 1);
  std::vector<at::Tensor> parts{call.tensor(0), call.has(1) ? call.tensor(1) : at::Tensor(), call.has(2) ? call.tensor(2) : at::Tensor()};
  if (!parts[1].defined()) {  // all in one: [B, 1, q | k | v]
    const int64_t hidden = parts[0].size(2) / 3;
    parts = parts[0].split_with_sizes({hidden, hidden, parts[0].size(2) - 2 * hidden}, 2);
  }
  const bool crossed = parts[1].dim() == 4;
  if (call.has(10)) {
    const int64_t hidden = parts[0].size(2);
    parts[0] = parts[0] + call.tensor(10).narrow(0, 0, hidden);
    if (!crossed) {
      parts[1] = parts[1] + call.tensor(10).narrow(0, hidden, hidden);
      parts[2] = parts[2] + call.tensor(10).narrow(0, 2 * hidden, parts[2].size(2));
    }
  }
  AttentionInputs inputs{.query = split_heads(parts[0], heads),
                         .key = crossed ? parts[1] : split_heads(parts[1], heads),
                         .value = crossed ? parts[2] : split_heads(parts[2], heads)};
  if (!crossed && call.has(5)) {
    const bool shared = call.attribute("past_present_share_buffer", 0) != 0;
    const int64_t past = shared ? call.integer(7) : call.tensor(5).size(2);
    const auto continued = [past](const at::Tensor& cache, const at::Tensor& fresh) { return at::cat({cache.narrow(2, 0, past), fresh}, 2); };
    inputs.key = continued(call.tensor(5), inputs.key);
    inputs.value = continued(call.tensor(6), inputs.value);
    if (shared) {
      const auto filled = [past](const at::Tensor& cache, const at::Tensor& known) {
        return at::cat({known, cache.narrow(2, past + 1, cache.size(2) - past - 1)}, 2);
      };
      call.set(1, filled(call.tensor(5), inputs.key));
      call.set(2, filled(call.tensor(6), inputs.value));
    } else {
      call.set(1, inputs.key);
      call.set(2, inputs.value);
    }
  }
  inputs.scale = scale_of(call, inputs.query.size(3));
  if (call.has(3)) inputs.bias = padding_bias(call, call.tensor_on(3, parts[0]), parts[0].size(0), inputs.key.size(2), parts[0]);
  if (call.has(4)) inputs.bias = plus(inputs.bias, call.tensor(4));
  const Attended result = attend(inputs, call.wants(3) ? AttentionScores::Biased : AttentionScores::None);
  call.set(0, join_heads(result.output));
  if (call.wants(3)) call.set(3, result.scores);
}

/// Rows of a cache [max, D / 2] for positions [B, S] -> [B, 1, S, D / 2].
at::Tensor rows_of(const at::Tensor& cache, const at::Tensor& positions) {
  return cache.index_select(0, positions.reshape({-1}))
      .reshape({positions.size(0), 1, positions.size(1), cache.size(1)});
}

/// Keys and values of every sample go behind its own past: cache [B, H, P, D], fresh [B, H, S, D],
/// past [B].
at::Tensor appended(const at::Tensor& cache, const at::Tensor& fresh, const at::Tensor& past,
                    int64_t room) {
  at::Tensor whole = fresh.new_zeros({fresh.size(0), fresh.size(1), room, fresh.size(3)});
  if (cache.defined() && cache.size(2) > 0) {
    whole = at::cat({cache, whole.narrow(2, 0, room - cache.size(2))}, 2);
  }
  const at::Tensor place =
      past.view({-1, 1, 1, 1}) + at::arange(fresh.size(2), past.options()).view({1, 1, -1, 1});
  return whole.scatter(2, place.expand_as(fresh), fresh);
}

void group_query_attention(OpCall& call) {
  const int64_t heads = call.attribute("num_heads", 1);
  const int64_t key_heads = call.attribute("kv_num_heads", 1);
  for (const size_t unsupported : {12, 13, 14, 15}) {
    if (call.has(unsupported))
      call.fail(
          fmt::format("input {} (quantised cache or query norm) is not supported", unsupported),
          "export without it");
  }
  if (call.attribute("sliding_window_cache", 0) != 0)
    call.fail("sliding_window_cache is not supported", "use a full cache");
  const at::Tensor& query = call.tensor(0);
  AttentionInputs inputs;
  if (call.has(1)) {
    inputs.query = split_heads(query, heads);
    inputs.key = split_heads(call.tensor(1), key_heads);
    inputs.value = split_heads(call.tensor(2), key_heads);
  } else {  // one tensor for all
    const int64_t head_size = query.size(2) / (heads + 2 * key_heads);
    const auto parts = query.split_with_sizes(
        {heads * head_size, key_heads * head_size, key_heads * head_size}, 2);
    inputs.query = split_heads(parts[0], heads);
    inputs.key = split_heads(parts[1], key_heads);
    inputs.value = split_heads(parts[2], key_heads);
  }
  const int64_t fresh = inputs.query.size(2);
  const at::Tensor lengths =
      call.tensor_on(5, query).to(at::kLong).reshape({-1}) + 1;  // valid keys of each sample
  const int64_t longest = call.integer(6);
  const bool prompt = fresh == longest;
  const at::Tensor past = prompt ? lengths * 0 : lengths - fresh;  // [B]

  if (call.attribute("do_rotary", 0) != 0) {
    at::Tensor positions = past.view({-1, 1}) + at::arange(fresh, past.options());
    if (call.has(9)) {  // of a prompt only the first position counts
      const at::Tensor given = call.tensor_on(9, query).to(at::kLong);
      positions = prompt ? positions + given.reshape({-1}).narrow(0, 0, 1) : given;
    }
    const at::Tensor cosine = rows_of(call.tensor(7), positions);
    const at::Tensor sine = rows_of(call.tensor(8), positions);
    const bool interleaved = call.attribute("rotary_interleaved", 0) != 0;
    inputs.query = rotate(inputs.query, cosine, sine, interleaved);
    inputs.key = rotate(inputs.key, cosine, sine, interleaved);
  }
  const int64_t room = std::max(longest, call.has(3) ? call.tensor(3).size(2) : 0);
  inputs.key = appended(call.has(3) ? call.tensor(3) : at::Tensor(), inputs.key, past, room);
  inputs.value = appended(call.has(4) ? call.tensor(4) : at::Tensor(), inputs.value, past, room);
  call.set(1, inputs.key);
  call.set(2, inputs.value);

  inputs.scale = scale_of(call, inputs.query.size(3));
  inputs.softcap = call.attribute_number("softcap", 0);
  const at::Tensor offset = past.view({-1, 1, 1, 1});
  const bool causal = call.attribute("causal", 1) != 0;
  const int64_t window = call.attribute("local_window_size", -1);
  inputs.allowed =
      window_mask(fresh, room, offset, causal && window > 0 ? window - 1 : -1, causal ? 0 : -1);
  if (!causal)
    inputs.allowed =
        inputs.allowed.logical_and(at::arange(room, past.options()) < lengths.view({-1, 1, 1, 1}));
  if (call.has(10)) {
    const at::Tensor& bias = call.tensor(10);
    inputs.bias = bias.size(-1) < room
                      ? at::cat({bias, bias.new_zeros({bias.size(0), bias.size(1), bias.size(2),
                                                       room - bias.size(-1)})},
                                -1)
                      : bias;
  }
  if (call.has(11))
    inputs.sink = call.tensor(11);
  else if (call.attribute("smooth_softmax", 0) != 0)
    inputs.sink = inputs.query.new_zeros({heads});
  const int64_t scores = call.attribute("qk_output", 0);
  const Attended result = attend(inputs, !call.wants(3) ? AttentionScores::None
                                         : scores == 1  ? AttentionScores::Biased
                                                        : AttentionScores::Probabilities);
  call.set(0, join_heads(result.output));
  if (call.wants(3)) call.set(3, result.scores);
}

void rotary_embedding(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor& cosine_cache = call.tensor(2);
  const at::Tensor& sine_cache = call.tensor(3);
  const bool packed = input.dim() == 3;
  int64_t heads = call.attribute("num_heads", 0);
  if (heads == 0 && packed) heads = input.size(2) / (2 * cosine_cache.size(1));
  const at::Tensor tensor = packed ? split_heads(input, heads) : input;
  at::Tensor positions = call.tensor_on(1, input).to(at::kLong);
  if (positions.numel() == 1)
    positions = positions.view({1, 1}) + at::arange(tensor.size(2), positions.options());
  const double scale = call.attribute_number("scale", 1);
  at::Tensor result = rotate(tensor, rows_of(cosine_cache, positions),
                             rows_of(sine_cache, positions), call.attribute("interleaved", 0) != 0);
  if (scale != 1) result = result * scale;
  call.set(0, packed ? join_heads(result) : result);
}

const RegisterOps entries{"com.microsoft",
                          {
                              {.name = "Attention",
                               .function = attention,
                               .notes = "without rotary embedding and shared buffers"},
                              {.name = "QAttention",
                               .function = quantized_attention,
                               .gradient = Gradient::Some,
                               .notes = "for the scales and the bias; without rotary embedding and shared buffers"},
                              {.name = "MultiHeadAttention",
                               .function = multi_head_attention,
                               .notes = "without shared buffers and beam search"},
                              {.name = "GroupQueryAttention",
                               .function = group_query_attention,
                               .shape_inputs = input_bits({6}),
                               .notes = "without quantised or windowed caches"},
                              {.name = "DecoderMaskedMultiHeadAttention",
                               .function = decoder_attention,
                               .shape_inputs = input_bits({7}),
                               .notes = "without beam search"},
                              {.name = "RotaryEmbedding", .function = rotary_embedding},
                          }};

}  // namespace
}  // namespace sparsify
