#include "train/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/huber_loss.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>
#include <fmt/core.h>

#include "base/error.h"
#include "base/names.h"
#include "tensor/shape.h"

namespace sparsify {
namespace {

constexpr int64_t kIgnored = -100;

std::string shape_of(const at::Tensor& tensor) { return to_text(tensor.sizes().vec()); }

std::vector<int64_t> without_ones(at::IntArrayRef sizes, int64_t left_out) {
  std::vector<int64_t> rest;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (static_cast<int64_t>(axis) != left_out && sizes[axis] != 1) rest.push_back(sizes[axis]);
  }
  return rest;
}

[[noreturn]] void refuse_shapes(const at::Tensor& scores, const at::Tensor& target, const SamplePlace& place, const std::string& fix) {
  throw ShapeError{{.what = fmt::format("targets {} do not fit the output {}", shape_of(target), shape_of(scores)),
                    .where = place(0),
                    .fix = fix}};
}

/// Scores as [n, classes, positions]; labels as [n, positions].
at::Tensor cross_entropy(const LossSettings& settings, const at::Tensor& scores, const at::Tensor& target, const SamplePlace& place) {
  if (target.is_floating_point()) {
    throw ShapeError{{.what = "cross-entropy wants class indices, and the targets are floats",
                      .where = "data.train",
                      .fix = "use loss: mse or bce for float targets, or data with integer class indices"}};
  }
  const int64_t axis = class_axis(scores, target);
  if (axis == 0) refuse_shapes(scores, target, place, "give one class index a sample (or a position), or choose another loss");
  const int64_t classes = scores.size(axis);
  const at::Tensor labels = target.reshape({-1});
  const at::Tensor bad = (labels.lt(0) | labels.ge(classes)) & labels.ne(kIgnored);
  if (bad.any().item<bool>()) {
    const int64_t at = bad.nonzero()[0].item<int64_t>();
    const bool binary = classes == 1 && (labels.eq(0) | labels.eq(1) | labels.eq(kIgnored)).all().item<bool>();
    throw ResourceError{{.what = fmt::format("label {} is outside the model's {}", labels[at].item<int64_t>(), classes == 1 ? "single class" : fmt::format("{} classes", classes)),
                         .where = place(at / std::max<int64_t>(1, labels.numel() / scores.size(0))),
                         .fix = binary ? "use loss: bce (and metric: auc) for a single output that says yes or no"
                                       : "use labels from 0 to classes - 1; check that data set and model belong together"}};
  }
  const at::Tensor rows = scores.movedim(axis, -1).reshape({-1, classes});
  if (labels.eq(kIgnored).all().item<bool>()) return rows.sum() * 0;  // the mean over no position would be 0 / 0
  return at::cross_entropy_loss(rows, labels, std::nullopt, at::Reduction::Mean, kIgnored, settings.label_smoothing);
}

const Node* producer(const Graph& graph, const std::string& value) {
  for (const Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) {
      if (output == value) return &node;
    }
  }
  return nullptr;
}

/// The Softmax says it; else images have it first, and of [n, a, b] the last is it unless only `a` is a number.
int64_t class_axis_of(const ModelGraph& model, const ValueInfo& output, const Node* softmax) {
  const auto rank = output.shape ? static_cast<int64_t>(output.shape->size()) : 2;
  if (softmax != nullptr) {
    const auto opset = model.opsets.find("");
    const int64_t axis = softmax->integer("axis", opset != model.opsets.end() && opset->second < 13 ? 1 : -1);
    return axis < 0 ? axis + rank : axis;
  }
  if (rank != 3) return 1;
  const std::vector<Dimension>& shape = *output.shape;
  return shape[1].size >= 0 && shape[2].size < 0 ? 1 : 2;
}

}  // namespace

LossValue find_loss_value(const ModelFile& file, const LossSettings& settings) {
  const Graph& graph = file.model().graph;
  LossValue value;
  std::vector<std::string> names;
  for (const ValueInfo& output : graph.outputs) names.push_back(output.name);
  value.output = settings.output.empty() ? names.front() : settings.output;
  const auto found = std::find(names.begin(), names.end(), value.output);
  if (found == names.end()) {
    throw ConfigError{{.what = fmt::format("the model has no output \"{}\"", value.output), .where = "train.loss.output", .fix = suggest(value.output, names)}};
  }
  value.index = static_cast<size_t>(found - names.begin());
  const Node* node = producer(graph, value.output);
  while (node != nullptr && node->op_type == "Identity") node = producer(graph, node->inputs.front());
  const bool probabilities = node != nullptr && node->domain.empty() && (node->op_type == "Softmax" || node->op_type == "Sigmoid");
  if (probabilities && !is_regression(settings)) value.tap = node->inputs.front();
  value.independent = probabilities && node->op_type == "Sigmoid";
  value.class_axis = class_axis_of(file.model(), graph.outputs[value.index], probabilities && !value.independent ? node : nullptr);
  return value;
}

int64_t class_axis(const at::Tensor& scores, const at::Tensor& labels) {
  for (const int64_t candidate : {int64_t{1}, scores.dim() - 1}) {
    if (candidate > 0 && without_ones(scores.sizes(), candidate) == without_ones(labels.sizes(), -1)) return candidate;
  }
  return 0;
}

at::Tensor task_loss(const LossSettings& settings, const at::Tensor& scores, const at::Tensor& target, const SamplePlace& place) {
  if (settings.name == "cross_entropy") return cross_entropy(settings, scores, target, place);
  if (scores.numel() != target.numel()) {
    refuse_shapes(scores, target, place, "give targets shaped like the output, or use cross_entropy for class indices");
  }
  const at::Tensor wanted = target.reshape(scores.sizes()).to(scores.scalar_type());
  if (settings.name == "bce") {
    const at::Tensor outside = (wanted.lt(0) | wanted.gt(1)).reshape({-1});
    if (outside.any().item<bool>()) {
      const int64_t at = outside.nonzero()[0].item<int64_t>();
      throw ResourceError{{.what = "a target of the binary cross-entropy is outside [0, 1]",
                           .where = place(at / std::max<int64_t>(1, outside.numel() / scores.size(0))),
                           .fix = "give targets in [0, 1], or use cross_entropy for class indices"}};
    }
    return at::binary_cross_entropy_with_logits(scores, wanted);
  }
  if (settings.name == "mae") return at::l1_loss(scores, wanted);
  if (settings.name == "huber") return at::huber_loss(scores, wanted, at::Reduction::Mean, settings.delta);
  return at::mse_loss(scores, wanted);
}

double labelled(const LossSettings& settings, const at::Tensor& target, int64_t samples) {
  if (settings.name != "cross_entropy" || target.is_floating_point() || target.numel() == 0) return static_cast<double>(samples);
  return static_cast<double>(samples) * static_cast<double>(target.ne(kIgnored).sum().item<int64_t>()) / static_cast<double>(target.numel());
}

}  // namespace sparsify
