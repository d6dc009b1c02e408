#include <ATen/ops/tensor.h>

#include <cmath>

#include "base/error.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "train/losses.h"

using namespace sparsify;

namespace {

at::Tensor floats(const std::vector<float>& values, at::IntArrayRef shape) { return at::tensor(values).reshape(shape); }
at::Tensor labels(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }
double number(const at::Tensor& loss) { return loss.item<double>(); }
std::string somewhere(int64_t sample) { return "sample " + std::to_string(128 + sample); }
LossSettings loss(const std::string& name) {
  LossSettings settings;
  settings.name = name;
  return settings;
}

}  // namespace

TEST_CASE("cross-entropy of rows, with smoothing and left out labels", "[train][losses]") {
  // softmax(ln 3, 0) = (3/4, 1/4).
  const at::Tensor scores = floats({std::log(3.0f), 0, std::log(3.0f), 0}, {2, 2});
  CHECK(number(task_loss(loss("cross_entropy"), scores, labels({0, 1}), somewhere)) == Approx(-(std::log(0.75) + std::log(0.25)) / 2));
  CHECK(number(task_loss(loss("cross_entropy"), scores, labels({0, -100}), somewhere)) == Approx(-std::log(0.75)));
  CHECK(number(task_loss(loss("cross_entropy"), scores, labels({-100, -100}), somewhere)) == 0);  // not 0 / 0
  LossSettings smooth = loss("cross_entropy");
  smooth.label_smoothing = 0.2;  // 0.9 of the label, 0.1 of the other class
  CHECK(number(task_loss(smooth, scores, labels({0, 0}), somewhere)) == Approx(-0.9 * std::log(0.75) - 0.1 * std::log(0.25)));
}

TEST_CASE("cross-entropy per position finds the class axis on either side", "[train][losses]") {
  const at::Tensor last = floats({std::log(3.0f), 0, 0, std::log(3.0f), 0, 0}, {1, 3, 2});
  const at::Tensor want = labels({0, 1, 0}).reshape({1, 3});
  const double expected = -(std::log(0.75) + std::log(0.75) + std::log(0.5)) / 3;
  CHECK(number(task_loss(loss("cross_entropy"), last, want, somewhere)) == Approx(expected));
  CHECK(number(task_loss(loss("cross_entropy"), last.transpose(1, 2).contiguous(), want, somewhere)) == Approx(expected));
}

TEST_CASE("a label outside the classes is named with its sample", "[train][losses]") {
  CHECK_THROWS_WITH(task_loss(loss("cross_entropy"), floats({0, 0, 0, 0}, {2, 2}), labels({0, 2}), somewhere),
                    Catch::Contains("label 2 is outside the model's 2 classes") && Catch::Contains("sample 129"));
  CHECK_THROWS_AS(task_loss(loss("cross_entropy"), floats({0, 0, 0, 0}, {2, 2}), floats({0, 1}, {2}), somewhere), ShapeError);
  CHECK_THROWS_AS(task_loss(loss("mse"), floats({0, 0}, {2, 1}), floats({0, 1, 2}, {3}), somewhere), ShapeError);
  CHECK_THROWS_WITH(task_loss(loss("bce"), floats({0, 0}, {2, 1}), labels({0, 3}), somewhere), Catch::Contains("outside [0, 1]") && Catch::Contains("sample 129"));
}

TEST_CASE("a batch weighs what its positions have labels for", "[train][losses]") {
  CHECK(labelled(loss("cross_entropy"), labels({0, -100, 1, -100, -100, -100}).reshape({2, 3}), 2) == Approx(2.0 / 3));
  CHECK(labelled(loss("cross_entropy"), labels({0, 1, 1}), 3) == 3);
  CHECK(labelled(loss("mse"), floats({0, -100}, {2}), 2) == 2);
}

TEST_CASE("losses of targets", "[train][losses]") {
  const at::Tensor scores = floats({0, 3}, {2, 1});
  const at::Tensor target = floats({1, 1}, {2});
  CHECK(number(task_loss(loss("mse"), scores, target, somewhere)) == Approx(2.5));
  CHECK(number(task_loss(loss("mae"), scores, target, somewhere)) == Approx(1.5));
  CHECK(number(task_loss(loss("huber"), scores, target, somewhere)) == Approx((0.5 + 1.5) / 2));
  CHECK(number(task_loss(loss("bce"), floats({0, 0}, {2, 1}), labels({0, 1}), somewhere)) == Approx(std::log(2.0)));
}

TEST_CASE("the loss is taken before a final Softmax", "[train][losses]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 2] p, float[N, 2] q) { s = Neg (x)  t = Softmax (s)  p = Identity (t)  q = Abs (x) })");
  const ModelFile file = model.load();
  CHECK(find_loss_value(file, loss("cross_entropy")).tap == "s");
  LossSettings second = loss("cross_entropy");
  second.output = "q";
  CHECK(find_loss_value(file, second).index == 1);
  CHECK(find_loss_value(file, second).tap.empty());
  second.output = "z";
  CHECK_THROWS_WITH(find_loss_value(file, second), Catch::Contains("no output \"z\""));
}
