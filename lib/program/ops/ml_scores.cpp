#include "program/ops/ml_scores.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>
#include <fmt/core.h>

#include <cmath>

#include "program/ops/movement.h"

namespace sparsify {

namespace {

/// Inverse of the normal distribution with the approximation of Winitzki 2008 that ONNX Runtime uses.
at::Tensor probit(const at::Tensor& scores) {
  const at::Tensor x = scores * 2 - 1;
  const at::Tensor log = at::log((1 - x) * (1 + x));
  const at::Tensor half = log * 0.5 + 2.0 / (M_PI * 0.147);
  return x.sign() * at::sqrt(at::sqrt(half * half - log / 0.147) - half) * M_SQRT2;
}

/// Softmax in which scores of 0 stay 0.
at::Tensor softmax_zero(const at::Tensor& scores) {
  const at::Tensor largest = std::get<0>(scores.max(-1, /*keepdim=*/true));
  const at::Tensor powers = at::where(scores.abs() > 1e-7, at::exp(scores - largest), scores * at::exp(-largest));
  const at::Tensor sum = powers.sum(-1, /*keepdim=*/true);
  return at::where(sum == 0, at::Scalar(0.5), powers / sum);
}

}  // namespace

at::Tensor post_transformed(const OpCall& call, const at::Tensor& scores, const std::string& transform) {
  if (transform == "NONE") return scores;
  if (transform == "SOFTMAX") return at::softmax(scores, -1);
  if (transform == "LOGISTIC") return at::sigmoid(scores);
  if (transform == "SOFTMAX_ZERO") return softmax_zero(scores);
  if (transform == "PROBIT") return probit(scores);
  call.fail(fmt::format("post_transform is \"{}\"", transform), "use NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
}

Value labels_at(const OpCall& call, std::string_view integers_name, const at::Tensor& indices) {
  const std::vector<std::string> texts = call.attribute_texts("classlabels_strings");
  const std::vector<int64_t> numbers = call.attribute_integers(integers_name);
  if (texts.empty() && numbers.empty()) return indices;
  const auto count = static_cast<int64_t>(texts.size());
  const Value names = texts.empty() ? Value(integer_tensor(numbers)) : Value::of_strings(HostTensor::of_strings({count}, texts));
  return moved(names, [&indices](const at::Tensor& x) { return x.index_select(0, indices.to(at::kCPU)); });
}

}  // namespace sparsify
