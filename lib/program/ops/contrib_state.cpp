// com.microsoft: what recent exporters fuse around recurrent attention (Gated DeltaNet, Mamba): gates and normalisations; and positions
// in three directions.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/where.h>
#include <fmt/core.h>

#include <numeric>

#include "program/op.h"
#include "program/ops/attention_core.h"
#include "program/ops/normalization.h"

namespace sparsify {
namespace {

/// float32 at least, as the operators are defined.
at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

/// [..., n] -> [..., n / width, width]
at::Tensor in_groups(const OpCall& call, const at::Tensor& x, int64_t width) {
  if (width <= 0 || x.size(-1) % width != 0) {
    call.fail(fmt::format("the last axis of {} is not a multiple of {}", call.value(0).describe(), width), "check the graph");
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() /= width;
  shape.push_back(width);
  return x.reshape(shape);
}

/// X [..., H * C], scale [C], gate like X: every C elements are normalised, then gated.
void gated_rms_norm(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const at::Tensor groups = in_groups(call, wide(x), call.tensor(1).numel());
  const at::Tensor normal =
      rms_normalise(groups, wide(call.tensor(1)), groups.dim() - 1, call.attribute_number("epsilon", 1e-5)).output.view(x.sizes());
  const at::Tensor gate = wide(call.tensor(2));
  const std::string activation = call.attribute_text("activation", "silu");
  if (activation != "silu" && activation != "swish" && activation != "sigmoid") {
    call.fail(fmt::format("activation \"{}\" is not known", activation), "use silu, swish or sigmoid");
  }
  call.set(0, (normal * (activation == "sigmoid" ? at::sigmoid(gate) : at::silu(gate))).to(x.scalar_type()));
}

/// X [..., C, H] or, with num_branches = C, [..., C * H]; every H elements are normalised; scale [C * H], [C, H] or [H].
void branchwise_rms_norm(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const int64_t branches = call.attribute("num_branches", 0);
  if (branches == 0 && x.dim() < 2) call.fail(fmt::format("input 0 is {}, not in branches", call.value(0).describe()), "give num_branches");
  const at::Tensor groups = branches == 0 ? wide(x) : in_groups(call, wide(x), x.size(-1) / branches);
  const int64_t width = groups.size(-1);
  at::Tensor scale = call.has(1) ? wide(call.tensor(1)) : at::Tensor(groups.new_ones({width}));
  if (scale.dim() == 1 && scale.numel() != width) scale = scale.view({-1, width});
  const at::Tensor normal =
      rms_normalise(groups, groups.new_ones({width}), groups.dim() - 1, call.attribute_number("epsilon", 1e-5)).output;
  call.set(0, (normal * scale).view(x.sizes()).to(x.scalar_type()));
}

void gated_add(OpCall& call) { call.set(0, call.tensor(0) + call.tensor(1) * call.tensor(2)); }

void scaled_silu(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const at::Tensor scaled = call.has(1) ? (x * call.tensor(1).to(x.device())).to(x.scalar_type()) : x * call.attribute_number("alpha", 1);
  call.set(0, at::silu(scaled));
}

/// decay = decay_scale * softplus(a + dt_bias), rate = sigmoid(b)
void linear_attention_gate(OpCall& call) {
  const at::Tensor& a = call.tensor(0);
  call.set(0, (call.tensor(2) * at::softplus(wide(a) + call.tensor(1))).to(a.scalar_type()));
  if (call.wants(1)) call.set(1, at::sigmoid(call.tensor(3)));
}

/// X, positions [3, B, S] (time, row, column), cosine and sine tables [max, D / 2] whose columns are shared among the three positions.
void multimodal_rotary_embedding(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const std::vector<int64_t> sections = call.attribute_integers("mrope_section");
  const int64_t half = call.tensor(2).size(1);
  if (sections.size() != 3 || std::accumulate(sections.begin(), sections.end(), int64_t{0}) != half) {
    call.fail(fmt::format("mrope_section does not share out {} columns among three positions", half), "export the model again");
  }
  if (call.attribute("is_packed_batching", 0) != 0) call.fail("packed batches are not supported", "use batches of one length");
  const at::Tensor positions = call.tensor_on(1, input).to(at::kLong);
  const at::Tensor column = at::arange(half, positions.options());
  at::Tensor stream;  // which position each column takes
  if (call.attribute("mrope_layout", 0) == 0) {
    stream = (column >= sections[0]).to(at::kLong) + (column >= sections[0] + sections[1]).to(at::kLong);
  } else {
    const at::Tensor turn = column.remainder(3);
    stream = (turn == 1).logical_and(column < 3 * sections[1]).to(at::kLong) + (turn == 2).logical_and(column < 3 * sections[2]).to(at::kLong) * 2;
  }
  const auto combined = [&](const at::Tensor& table) {  // [B, 1, S, D / 2]
    at::Tensor result;
    for (int64_t which = 0; which < 3; ++which) {
      const at::Tensor rows =
          table.index_select(0, positions.select(0, which).reshape({-1})).view({positions.size(1), 1, positions.size(2), half});
      result = which == 0 ? rows : at::where(stream == which, rows, result);
    }
    return result;
  };
  const bool packed = input.dim() == 3;
  int64_t heads = call.attribute("num_heads", 0);
  if (heads == 0 && packed) heads = input.size(2) / (2 * half);
  const at::Tensor tensor = packed ? split_heads(input, heads) : input;
  at::Tensor result = rotate(tensor, combined(call.tensor(2)), combined(call.tensor(3)), call.attribute("interleaved", 0) != 0);
  if (const double scale = call.attribute_number("scale", 1); scale != 1) result = result * scale;
  call.set(0, packed ? join_heads(result) : result);
}

const RegisterOps entries{
    "com.microsoft",
    {
        {.name = "GatedRMSNorm", .function = gated_rms_norm},
        {.name = "BranchwiseRMSNorm", .function = branchwise_rms_norm},
        {.name = "GatedAdd", .function = gated_add},
        {.name = "ScaledSiLU", .function = scaled_silu},
        {.name = "LinearAttentionGate", .function = linear_attention_gate},
        {.name = "MRotaryEmbedding", .function = multimodal_rotary_embedding, .notes = "without packed batches"},
    }};

}  // namespace
}  // namespace sparsify
