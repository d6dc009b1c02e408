// com.microsoft: normalisations and embeddings of transformers as ONNX Runtime fuses them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/zeros.h>

#include "program/op.h"
#include "program/ops/normalization.h"

namespace sparsify {
namespace {

constexpr double kEpsilon = 1e-12;  // the default of these operators

std::optional<at::Tensor> optional_tensor(const OpCall& call, size_t input) {
  return call.has(input) ? std::optional(call.tensor(input)) : std::nullopt;
}

/// input + skip + bias -> normalised; the sum itself is output 3.
void skip_normalise(OpCall& call, bool subtract_mean) {
  const size_t bias = subtract_mean ? 4 : 3;
  at::Tensor sum = call.tensor(0) + call.tensor(1);
  if (call.has(bias)) sum = sum + call.tensor(bias);
  const double epsilon = call.attribute_number("epsilon", kEpsilon);
  const bool statistics = call.wants(1) || call.wants(2);
  const int64_t axis = sum.dim() - 1;
  const LayerNormalised result =
      subtract_mean ? layer_normalise(sum, call.tensor(2), optional_tensor(call, 3), axis, epsilon,
                                      statistics)
                    : rms_normalise(sum, call.tensor(2), axis, epsilon, statistics);
  call.set(0, result.output);
  if (call.wants(1) && result.mean.defined()) call.set(1, result.mean);
  if (call.wants(2)) call.set(2, result.inverse_deviation);
  call.set(3, sum);
}

void skip_layer_normalization(OpCall& call) { skip_normalise(call, true); }
void skip_simplified_layer_normalization(OpCall& call) { skip_normalise(call, false); }

at::Tensor looked_up(const at::Tensor& table, const at::Tensor& ids) {
  return at::embedding(table, ids.to(table.device(), at::kLong));
}

/// Words + positions + segments, normalised; output 1 counts the words of each sentence.
void embed_layer_normalization(OpCall& call) {
  const at::Tensor& ids = call.tensor(0);  // [B, S]
  const at::Tensor& positions = call.tensor(3);
  at::Tensor sum = looked_up(call.tensor(2), ids);
  if (call.has(8)) {
    sum = sum + looked_up(positions, call.tensor(8));
  } else {
    sum = sum + positions.narrow(0, 0, ids.size(1));
  }
  if (call.has(4) && call.has(1)) sum = sum + looked_up(call.tensor(4), call.tensor(1));
  const LayerNormalised result = layer_normalise(sum, call.tensor(5), optional_tensor(call, 6), 2,
                                                 call.attribute_number("epsilon", kEpsilon));
  call.set(0, result.output);
  if (call.wants(1)) {
    call.set(1, call.has(7) ? call.tensor(7).sum(1, false, at::kInt)
                            : at::Tensor(at::zeros({ids.size(0)}, at::TensorOptions(at::kInt))));
  }
  call.set(2, sum);
}

const RegisterOps entries{
    "com.microsoft",
    {
        {.name = "SkipLayerNormalization", .function = skip_layer_normalization},
        {.name = "SkipSimplifiedLayerNormalization",
         .function = skip_simplified_layer_normalization},
        {.name = "EmbedLayerNormalization", .function = embed_layer_normalization},
    }};

}  // namespace
}  // namespace sparsify
