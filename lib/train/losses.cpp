#include "train/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/huber_loss.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/log_softmax.h>
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

[[noreturn]] void refuse_shapes(const at::Tensor& scores, const at::Tensor& target, int64_t first, const std::string& fix) {
  throw ShapeError{{.what = fmt::format("targets {} do not fit the output {}", shape_of(target), shape_of(scores)),
                    .where = fmt::format("data.train, sample {}", first),
                    .fix = fix}};
}

/// Scores as [n, classes, positions]; labels as [n, positions].
at::Tensor cross_entropy(const LossSettings& settings, const at::Tensor& scores, const at::Tensor& target, int64_t first) {
  if (target.is_floating_point()) refuse_shapes(scores, target, first, "use loss: mse or bce for float targets, or data with class indices");
  int64_t axis = 0;
  for (const int64_t candidate : {int64_t{1}, scores.dim() - 1}) {
    if (axis == 0 && candidate > 0 && without_ones(scores.sizes(), candidate) == without_ones(target.sizes(), -1)) axis = candidate;
  }
  if (axis == 0) refuse_shapes(scores, target, first, "give one class index a sample (or a position), or choose another loss");
  const int64_t classes = scores.size(axis);
  const at::Tensor labels = target.reshape({-1});
  const at::Tensor bad = (labels.lt(0) | labels.ge(classes)) & labels.ne(kIgnored);
  if (bad.any().item<bool>()) {
    const int64_t at = bad.nonzero()[0].item<int64_t>();
    throw ResourceError{{.what = fmt::format("label {} is outside the model's {} classes", labels[at].item<int64_t>(), classes),
                         .where = fmt::format("data.train, sample {}", first + at / std::max<int64_t>(1, labels.numel() / scores.size(0))),
                         .fix = "use labels from 0 to classes - 1; check that data set and model belong together"}};
  }
  const at::Tensor rows = scores.movedim(axis, -1).reshape({-1, classes});
  return at::cross_entropy_loss(rows, labels, std::nullopt, at::Reduction::Mean, kIgnored, settings.label_smoothing);
}

at::Tensor probability_rows(const at::Tensor& scores) {
  const int64_t axis = scores.dim() == 3 ? 2 : scores.dim() == 1 ? 0 : 1;
  return scores.movedim(axis, -1).reshape({-1, scores.size(axis)});
}

const Node* producer(const Graph& graph, const std::string& value) {
  for (const Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) {
      if (output == value) return &node;
    }
  }
  return nullptr;
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
  const bool regresses = settings.name == "mse" || settings.name == "mae" || settings.name == "huber";
  if (node != nullptr && !regresses && node->domain.empty() && (node->op_type == "Softmax" || node->op_type == "Sigmoid")) {
    value.tap = node->inputs.front();
  }
  return value;
}

at::Tensor task_loss(const LossSettings& settings, const at::Tensor& scores, const at::Tensor& target, int64_t first) {
  if (settings.name == "cross_entropy") return cross_entropy(settings, scores, target, first);
  if (scores.numel() != target.numel()) {
    refuse_shapes(scores, target, first, "give targets shaped like the output, or use cross_entropy for class indices");
  }
  const at::Tensor wanted = target.reshape(scores.sizes()).to(scores.scalar_type());
  if (settings.name == "bce") {
    const at::Tensor outside = wanted.lt(0) | wanted.gt(1);
    if (outside.any().item<bool>()) {
      throw ResourceError{{.what = "a target of the binary cross-entropy is outside [0, 1]",
                           .where = fmt::format("data.train, samples {} to {}", first, first + scores.size(0) - 1),
                           .fix = "give targets in [0, 1], or use cross_entropy for class indices"}};
    }
    return at::binary_cross_entropy_with_logits(scores, wanted);
  }
  if (settings.name == "mae") return at::l1_loss(scores, wanted);
  if (settings.name == "huber") return at::huber_loss(scores, wanted, at::Reduction::Mean, settings.delta);
  return at::mse_loss(scores, wanted);
}

at::Tensor distill_loss(const DistillSettings& settings, const at::Tensor& student, const at::Tensor& teacher) {
  if (student.sizes() != teacher.sizes()) {
    throw ShapeError{{.what = fmt::format("the teacher gives {}, the model {}", shape_of(teacher), shape_of(student)),
                      .where = "train.distill",
                      .fix = "use a teacher with the same outputs, or match features of equal shape"}};
  }
  if (settings.kind == "mse") return at::mse_loss(student, teacher);
  const double t = settings.temperature;
  const at::Tensor log_student = at::log_softmax(probability_rows(student) / t, -1);
  const at::Tensor log_teacher = at::log_softmax(probability_rows(teacher) / t, -1);
  const at::Tensor sum = at::kl_div(log_student, log_teacher, at::Reduction::Sum, /*log_target=*/true);
  return sum * (t * t / static_cast<double>(log_student.size(0)));
}

}  // namespace sparsify
