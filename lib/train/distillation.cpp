#include "train/distillation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/sigmoid.h>
#include <fmt/core.h>

#include "base/error.h"
#include "tensor/shape.h"

namespace sparsify {
namespace {

at::Tensor rows_of(const at::Tensor& scores, int64_t axis) { return scores.movedim(axis, -1).reshape({-1, scores.size(axis)}); }

}  // namespace

Distance distance_for(const DistillSettings& settings, const LossSettings& loss, const LossValue& value, const at::Tensor& scores, int64_t axis) {
  if (settings.kind == "mse") return Distance::Squared;
  const bool single = scores.dim() < 2 || scores.size(axis) == 1;
  if (value.independent || loss.name == "bce") return Distance::Independent;
  if (settings.kind == "kl") {
    if (!single) return Distance::Classes;
    throw ConfigError{{.what = fmt::format("the teacher gives {}, one number a sample: a softmax over it is always 1", to_text(scores.sizes().vec())),
                       .where = "train.distill.kind",
                       .fix = "use kind: mse, or kind: auto"}};
  }
  return single || is_regression(loss) ? Distance::Squared : Distance::Classes;
}

at::Tensor distill_loss(Distance distance, double temperature, const at::Tensor& student, const at::Tensor& teacher, int64_t axis) {
  if (student.sizes() != teacher.sizes()) {
    throw ShapeError{{.what = fmt::format("the teacher gives {}, the model {}", to_text(teacher.sizes().vec()), to_text(student.sizes().vec())),
                      .where = "train.distill",
                      .fix = "use a teacher with the same outputs, or match features of equal shape"}};
  }
  if (distance == Distance::Squared) return at::mse_loss(student, teacher);
  const double scale = temperature * temperature;
  if (distance == Distance::Independent) {
    const at::Tensor taught = at::sigmoid(teacher / temperature);
    const at::Tensor least = at::binary_cross_entropy_with_logits(teacher / temperature, taught);  // the teacher's own entropy
    return (at::binary_cross_entropy_with_logits(student / temperature, taught) - least) * scale;
  }
  const at::Tensor log_student = at::log_softmax(rows_of(student, axis) / temperature, -1);
  const at::Tensor log_teacher = at::log_softmax(rows_of(teacher, axis) / temperature, -1);
  const at::Tensor sum = at::kl_div(log_student, log_teacher, at::Reduction::Sum, /*log_target=*/true);
  return sum * (scale / static_cast<double>(log_student.size(0)));
}

}  // namespace sparsify
