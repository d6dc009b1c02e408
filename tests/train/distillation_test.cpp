#include "train/distillation.h"

#include <ATen/ops/tensor.h>

#include <cmath>

#include "base/error.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

at::Tensor floats(const std::vector<float>& values, at::IntArrayRef shape) { return at::tensor(values).reshape(shape); }
double number(const at::Tensor& loss) { return loss.item<double>(); }
LossSettings loss(const std::string& name) {
  LossSettings settings;
  settings.name = name;
  return settings;
}

int64_t axis_in(const std::string& graph) {
  const TextModel model("<ir_version: 8, opset_import: [\"\": 17]> " + graph);
  return find_loss_value(model.load(), loss("distill")).class_axis;
}

}  // namespace

TEST_CASE("distillation is T squared times the divergence from the teacher, averaged over rows", "[train][distillation]") {
  // At T = 2: teacher (3/4, 1/4), student (1/2, 1/2); the second row agrees.
  const at::Tensor teacher = floats({2 * std::log(3.0f), 0, 5, 5}, {2, 2});
  const at::Tensor student = floats({0, 0, 1, 1}, {2, 2});
  const double divergence = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  CHECK(number(distill_loss(Distance::Classes, 2, student, teacher, 1)) == Approx(4 * divergence / 2));
  CHECK(number(distill_loss(Distance::Squared, 2, floats({1, 2}, {1, 2}), floats({1, 4}, {1, 2}), 1)) == Approx(2));
  CHECK_THROWS_AS(distill_loss(Distance::Classes, 2, floats({1, 2}, {1, 2}), floats({1, 4, 1}, {1, 3}), 1), ShapeError);
}

TEST_CASE("probabilities of their own are compared one by one, and equal ones cost nothing", "[train][distillation]") {
  // At T = 2: teacher 3/4, student 1/2; the second number agrees. KL(3/4 || 1/2) is the same as of the two classes above.
  const at::Tensor teacher = floats({2 * std::log(3.0f), 5}, {2, 1});
  const at::Tensor student = floats({0, 5}, {2, 1});
  const double divergence = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  CHECK(number(distill_loss(Distance::Independent, 2, student, teacher, 1)) == Approx(4 * divergence / 2).margin(1e-6));
  CHECK(number(distill_loss(Distance::Independent, 2, teacher, teacher, 1)) == Approx(0).margin(1e-6));
}

TEST_CASE("the distance follows from the task, the Sigmoid and the shape", "[train][distillation]") {
  const at::Tensor classes = floats({0, 0, 0, 0}, {2, 2});
  const at::Tensor single = floats({0, 0}, {2, 1});
  DistillSettings settings;
  LossValue sigmoid;
  sigmoid.independent = true;

  CHECK(distance_for(settings, loss("cross_entropy"), {}, classes, 1) == Distance::Classes);
  CHECK(distance_for(settings, loss("distill"), {}, single, 1) == Distance::Squared);
  CHECK(distance_for(settings, loss("mae"), {}, classes, 1) == Distance::Squared);
  CHECK(distance_for(settings, loss("distill"), sigmoid, single, 1) == Distance::Independent);
  CHECK(distance_for(settings, loss("bce"), {}, classes, 1) == Distance::Independent);
  settings.kind = "kl";
  CHECK_THROWS_WITH(distance_for(settings, loss("distill"), {}, single, 1), Catch::Contains("always 1"));
  settings.kind = "mse";
  CHECK(distance_for(settings, loss("distill"), sigmoid, single, 1) == Distance::Squared);
}

TEST_CASE("the class axis is the Softmax's, the first of images, and of three axes the one that is a number", "[train][distillation]") {
  CHECK(axis_in("graph (float[N, 4, L] x) => (float[N, 4, L] y) { y = Softmax <axis = 1> (x) }") == 1);
  CHECK(axis_in("graph (float[N, L, 4] x) => (float[N, L, 4] y) { y = Softmax (x) }") == 2);
  CHECK(axis_in("graph (float[N, L, 4] x) => (float[N, L, 4] y) { y = Neg (x) }") == 2);
  CHECK(axis_in("graph (float[N, 4, L] x) => (float[N, 4, L] y) { y = Neg (x) }") == 1);
  CHECK(axis_in("graph (float[N, 21, H, W] x) => (float[N, 21, H, W] y) { y = Neg (x) }") == 1);
}
