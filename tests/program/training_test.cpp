// Training mode: batch statistics, what becomes of the stored ones, and dropout.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <string>

#include "program/model_text.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

const char* const kNormalisation = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[n, 1] x) => (float[n, 1] y)
    <float[1] scale = {2}, float[1] shift = {1}, float[1] mean = {10}, float[1] variance = {4}> {
    y = BatchNormalization <epsilon = 0.0, momentum = 0.75> (x, scale, shift, mean, variance)
  })";

std::vector<float> numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

at::Tensor column(const std::vector<float>& values) { return at::tensor(values).view({-1, 1}); }

}  // namespace

TEST_CASE("in training the stored statistics follow the batch, and inference uses what they became", "[program][training]") {
  const TextModel model(kNormalisation);
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = column({-1, 1, 3, 5});  // mean 2, population variance 5
  CHECK(numbers(program->run({column({12})}).outputs[0].tensor()) == std::vector<float>{3});
  CHECK(numbers(program->run({column({12})}).outputs[0].tensor()) == std::vector<float>{3});

  const at::Tensor y = program->run({x}, {.training = true}).outputs[0].tensor();

  CHECK(y[0].item<double>() == Approx(1 - 6 / std::sqrt(5.0)));
  CHECK(numbers(program->find_parameter("mean")->tensor)[0] == Approx(0.75 * 10 + 0.25 * 2));
  CHECK(numbers(program->find_parameter("variance")->tensor)[0] == Approx(0.75 * 4 + 0.25 * 5));
  CHECK(program->run({column({12})}).outputs[0].tensor().item<double>() == Approx(2 * (12 - 8) / std::sqrt(4.25) + 1));
}

TEST_CASE("a training run that may not update statistics leaves them bit for bit", "[program][training]") {
  const TextModel model(kNormalisation);
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  at::Tensor& scale = program->find_parameter("scale")->tensor;
  scale.requires_grad_(true);

  const at::Tensor y = program->run({column({-1, 1, 3, 5})}, {.training = true, .update_statistics = false, .gradients = true}).outputs[0].tensor();
  y.pow(2).sum().backward();

  CHECK(y[0].item<double>() == Approx(1 - 6 / std::sqrt(5.0)));  // the batch's statistics all the same
  CHECK(scale.grad().item<double>() == Approx(16));              // sum of 2 * (2 z + 1) * z over z with mean 0, variance 1
  CHECK(numbers(program->find_parameter("mean")->tensor) == std::vector<float>{10});
  CHECK(numbers(program->find_parameter("variance")->tensor) == std::vector<float>{4});
}

TEST_CASE("running means and variances are marked, for optimisers to leave alone", "[program][training]") {
  const TextModel model(kNormalisation);
  const ModelFile file = model.load();
  const auto program = Program::build(file);

  CHECK(program->find_parameter("mean")->is_statistic);
  CHECK(program->find_parameter("variance")->is_statistic);
  CHECK_FALSE(program->find_parameter("scale")->is_statistic);
  CHECK_FALSE(program->find_parameter("shift")->is_statistic);
}

TEST_CASE("dropout drops in training only, by the seed of the run", "[program][training]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[1000] x) => (float[1000] y) <float ratio = {0.25}> { y = Dropout (x, ratio) })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = at::ones({1000});
  const auto dropped = [&](uint64_t seed) { return program->run({x}, {.training = true, .seed = seed}).outputs[0].tensor(); };

  CHECK(program->run({x}, {.seed = 1}).outputs[0].tensor().equal(x));
  const at::Tensor once = dropped(1);
  CHECK(once.equal(dropped(1)));
  CHECK_FALSE(once.equal(dropped(2)));
  CHECK(once.max().item<double>() == Approx(1 / 0.75));
  CHECK((once == 0).sum().item<int64_t>() > 200);
  CHECK((once == 0).sum().item<int64_t>() < 300);
}

TEST_CASE("training with channels last in memory: the same loss and gradients, from the first run on", "[program][training]") {
  const auto zeros = [](size_t count) {
    std::string text = "{0";
    for (size_t i = 1; i < count; ++i) text += ", 0";
    return text + "}";
  };
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2, 3, 6, 6] x) => (float[2, 144] y)
      <float[4, 3, 3, 3] w = )" + zeros(108) + R"(, float[4] scale = {1, 2, 0.5, 1}, float[4] shift = {0, 0.1, 0, -0.1}, float[4] mean = {0, 0, 0, 0},
       float[4] variance = {1, 1, 1, 1}, float[2, 2, 1, 1] g = {0, 0, 0, 0}, int64[2] flat = {2, 144}> {
      c = Conv <pads = [1, 1, 1, 1]> (x, w)
      n = BatchNormalization (c, scale, shift, mean, variance)
      r = Relu (n)
      first, second = Split <axis = 1> (r)
      p = Conv (first, g)
      j = Concat <axis = 1> (p, second)
      y = Reshape (j, flat)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  at::manual_seed(3);
  for (const char* name : {"w", "g"}) {
    Parameter& weight = *program->find_parameter(name);
    weight.tensor = at::randn_like(weight.tensor).requires_grad_(true);
  }
  const at::Tensor x = at::randn({2, 3, 6, 6});
  const at::Tensor outer = at::randn({2, 144});
  const auto gradients = [&](bool optimise) {
    const RunOptions options{.training = true, .update_statistics = false, .gradients = true, .optimise = optimise};
    const at::Tensor y = program->run({x}, options).outputs[0].tensor();
    CHECK(y.is_contiguous());
    (y * outer).sum().backward();
    std::vector<at::Tensor> result{y.detach()};
    for (const char* name : {"w", "g"}) {
      at::Tensor& weight = program->find_parameter(name)->tensor;
      result.push_back(weight.grad().clone());
      weight.mutable_grad() = at::Tensor();
    }
    return result;
  };

  const std::vector<at::Tensor> plain = gradients(false);
  const std::vector<at::Tensor> first = gradients(true);
  const std::vector<at::Tensor> second = gradients(true);

  for (size_t i = 0; i < plain.size(); ++i) {
    CAPTURE(i);
    CHECK(first[i].allclose(plain[i], 1e-4, 1e-5));
    CHECK(first[i].equal(second[i]));  // or a resumed run would differ from one that was not disturbed
  }
}
