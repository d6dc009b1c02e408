// FlexAttention of ai.onnx.preview: attention with subgraphs that change the scores and the probabilities.
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <fmt/core.h>

#include <cmath>

#include "program/op.h"

namespace sparsify {
namespace {

at::Tensor modified(OpCall& call, const char* subgraph, const at::Tensor& tensor) {
  if (!call.has_attribute(subgraph)) return tensor;
  const std::vector<Value> outputs = call.run_subgraph(subgraph, {Value(tensor)});
  if (outputs.size() != 1 || !outputs.front().is_tensor()) {
    call.fail(fmt::format("the subgraph \"{}\" must have one tensor as output", subgraph), "export the model again");
  }
  return outputs.front().tensor().to(tensor.scalar_type());
}

/// Q [batch, heads, queries, width], K and V [batch, kv heads, keys, width]; each kv head serves a run of heads.
void flex_attention(OpCall& call) {
  const at::Tensor& query = call.tensor(0);
  at::Tensor key = call.tensor(1);
  at::Tensor value = call.tensor(2);
  const bool fits = query.dim() == 4 && key.dim() == 4 && value.dim() == 4 && key.size(1) > 0 &&
                    query.size(1) % key.size(1) == 0;
  if (!fits) {
    call.fail(fmt::format("heads of {}, {} and {} do not go together", call.value(0).describe(), call.value(1).describe(),
                          call.value(2).describe()),
              "check the graph");
  }
  const int64_t heads_per_key = query.size(1) / key.size(1);
  if (heads_per_key > 1) {
    key = key.repeat_interleave(heads_per_key, 1);
    value = value.repeat_interleave(heads_per_key, 1);
  }
  const at::ScalarType precision = call.has_attribute("softmax_precision")
                                       ? carrier_of(static_cast<DType>(call.attribute("softmax_precision", 1)))
                                   : query.scalar_type() == at::kDouble ? at::kDouble
                                                                        : at::kFloat;
  const double scale = call.attribute_number("scale", 1.0 / std::sqrt(static_cast<double>(query.size(3))));
  const at::Tensor scores = at::matmul(query * scale, key.transpose(-1, -2)).to(precision);
  const at::Tensor weights = modified(call, "prob_mod", at::softmax(modified(call, "score_mod", scores), -1));
  call.set(0, at::matmul(weights.to(value.scalar_type()), value));
}

const RegisterOps entries{"ai.onnx.preview", {{.name = "FlexAttention", .function = flex_attention}}};

}  // namespace
}  // namespace sparsify
