#include "evidence/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"
#include "evidence/gatherer.h"

namespace sparsify {
namespace {

constexpr int64_t kIgnored = -100;  ///< as in PyTorch's losses

/// The axis without which the scores have the labels' shape, axes of size 1 aside: the second, as in ONNX's losses, or the
/// last, as in language models. -1 if there is none.
int64_t class_axis(const at::Tensor& scores, const at::Tensor& labels) {
  const auto without_ones = [](at::IntArrayRef sizes, int64_t left_out) {
    std::vector<int64_t> rest;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      if (static_cast<int64_t>(axis) != left_out && sizes[axis] != 1) rest.push_back(sizes[axis]);
    }
    return rest;
  };
  if (scores.dim() < 2) return -1;
  for (const int64_t axis : {int64_t{1}, scores.dim() - 1}) {
    if (without_ones(scores.sizes(), axis) == without_ones(labels.sizes(), -1)) return axis;
  }
  return -1;
}

bool are_probabilities(const at::Tensor& scores, int64_t axis) {
  const at::Tensor values = scores.detach();
  return values.min().item<double>() >= 0 && (values.sum(axis) - 1).abs().max().item<double>() < 1e-3;
}

/// [count, ...] -> [count]
at::Tensor sum_of_each(const at::Tensor& values) { return values.reshape({values.size(0), -1}).sum(1); }

}  // namespace

at::Tensor Loss::cross_entropy(const at::Tensor& scores, const at::Tensor& labels, int64_t axis) const {
  at::Tensor logits = are_probabilities(scores, axis) ? scores.clamp_min(1e-12).log() : scores;
  const int64_t classes = scores.size(axis);
  logits = at::log_softmax(logits.movedim(axis, -1).reshape({scores.size(0), -1, classes}) / temperature_, -1);
  const at::Tensor flat = labels.reshape({scores.size(0), -1, 1});
  const at::Tensor counted = flat != kIgnored;
  const at::Tensor wrong = counted.logical_and(flat.lt(0).logical_or(flat.ge(classes)));
  if (wrong.any().item<bool>()) {
    throw ResourceError{{.what = fmt::format("label {} is outside the model's {} classes", flat.masked_select(wrong)[0].item<int64_t>(), classes),
                         .where = "calibration data",
                         .fix = "use labels from 0 to classes - 1; check that data set and model belong together"}};
  }
  const at::Tensor picked = logits.gather(-1, flat.clamp_min(0)) * counted;
  return -sum_of_each(picked) / sum_of_each(counted).clamp_min(1);
}

at::Tensor Loss::of(const RunResult& result, const Batch& batch) const {
  const at::Tensor output = real_samples(result.outputs.at(0).tensor(), batch);
  const bool has_classes = batch.labels && (batch.labels->type() == DType::Int64 || batch.labels->type() == DType::Int32);
  std::string kind = kind_;
  if (kind == "auto") kind = !batch.labels ? "squared_outputs" : has_classes ? "cross_entropy" : "mse";
  if (kind == "outputs") {
    at::Tensor sum = at::zeros({batch.count}, output.options());
    for (const Value& value : result.outputs) {
      if (!value.is_tensor() || !value.tensor().is_floating_point()) continue;
      const at::Tensor each = real_samples(value.tensor(), batch);
      // An output without a sample axis is a loss of the whole batch: every sample has an equal part in the mean.
      sum = sum + (each.dim() > 0 && each.size(0) == batch.count ? sum_of_each(each) : each.sum());
    }
    return sum;
  }
  if (kind == "squared_outputs") return 0.5 * sum_of_each(output * output);
  if (kind == "pseudo_labels") {
    const int64_t axis = output.dim() == 3 ? 2 : 1;
    return cross_entropy(output, output.detach().argmax(axis), axis);
  }
  if (!batch.labels) {
    throw ConfigError{{.what = fmt::format("the loss {} needs labels, and the calibration data has none", kind),
                       .where = "criterion (loss)",
                       .fix = "use data with labels, or loss: squared_outputs or pseudo_labels"}};
  }
  const at::Tensor labels = real_samples(from_host(*batch.labels).tensor().to(output.device()), batch);
  if (kind == "mse" && labels.numel() != output.numel()) {
    throw ConfigError{{.what = fmt::format("the loss mse compares with values of the output's shape, and the labels are [{}] for {}", fmt::join(labels.sizes(), ", "),
                                           result.outputs[0].describe()),
                       .where = "criterion (loss)",
                       .fix = "use loss: cross_entropy for class labels, or squared_outputs"}};
  }
  if (kind == "mse") return sum_of_each((output - labels.reshape(output.sizes()).to(output.scalar_type())).square()) / std::max<int64_t>(1, output.numel() / std::max<int64_t>(1, output.size(0)));
  const int64_t axis = class_axis(output, labels);
  if (axis < 0 || !has_classes) {
    throw ConfigError{{.what = fmt::format("the labels do not fit the model's first output, {}", result.outputs[0].describe()),
                       .where = "calibration data",
                       .fix = "give one class index a sample (or a position), or use loss: squared_outputs"}};
  }
  return cross_entropy(output, labels, axis);
}

}  // namespace sparsify
