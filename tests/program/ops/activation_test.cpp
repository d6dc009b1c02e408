#include <ATen/core/grad_mode.h>

#include <cmath>

#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("Softmax before opset 13 normalises all axes behind `axis` together", "[program][softmax]") {
  const Value x = floats({1, 2, 1, 2}, {0, 0, 0, 0});
  const auto old = run_op({.op = "Softmax", .opset = 11}, {x});
  CHECK(to_floats(old[0]) == std::vector<float>{0.25F, 0.25F, 0.25F, 0.25F});
  const auto now = run_op({.op = "Softmax", .opset = 13}, {x});
  CHECK(to_floats(now[0]) == std::vector<float>{0.5F, 0.5F, 0.5F, 0.5F});
}

TEST_CASE("Hardmax marks the first of equal maxima", "[program][softmax]") {
  CHECK(to_floats(run_op({.op = "Hardmax"}, {floats({1, 3}, {2, 2, 1})})[0]) == std::vector<float>{1, 0, 0});
  CHECK(to_floats(run_op({.op = "Hardmax", .opset = 11}, {floats({1, 2, 2}, {1, 2, 3, 3})})[0]) ==
        std::vector<float>{0, 0, 1, 0});
}

TEST_CASE("PRelu broadcasts its slope to the input and passes it a gradient", "[program][activation]") {
  at::Tensor slope = floats({2, 1}, {0.5F, 2}).tensor();
  slope.requires_grad_(true);
  const auto out = run_op({.op = "PRelu"}, {floats({2, 2}, {-1, 2, -3, 4}), Value(slope)});
  CHECK(to_floats(out[0]) == std::vector<float>{-0.5F, 2, -6, 4});
  out[0].tensor().sum().backward();
  CHECK(to_floats(Value(slope.grad())) == std::vector<float>{-1, -3});
}

TEST_CASE("Relu and PRelu work on integers", "[program][activation]") {
  CHECK(to_integers(run_op({.op = "Relu"}, {integers(DType::Int8, {3}, {-3, 0, 3})})[0]) == std::vector<int64_t>{0, 0, 3});
  const auto out = run_op({.op = "PRelu"}, {integers(DType::Int32, {2}, {-3, 3}), integers(DType::Int32, {1}, {2})});
  CHECK(to_integers(out[0]) == std::vector<int64_t>{-6, 3});
}

TEST_CASE("activations take their constants from the node", "[program][activation]") {
  const Value x = floats({3}, {-1, 0.5F, 3});
  const auto run = [&](const std::string& op, std::vector<Attribute> attributes) {
    return to_floats(run_op({.op = op, .attributes = std::move(attributes)}, {x})[0]);
  };
  CHECK(run("HardSigmoid", {{"alpha", "", 0.5F}, {"beta", "", 0.25F}}) == std::vector<float>{0, 0.5F, 1});
  CHECK(run("ThresholdedRelu", {}) == std::vector<float>{0, 0, 3});
  CHECK(run("Shrink", {{"lambd", "", 1.0F}, {"bias", "", 1.0F}}) == std::vector<float>{0, 0, 2});
  CHECK(run("Selu", {{"alpha", "", 1.0F}, {"gamma", "", 2.0F}})[0] == Approx(2 * (std::exp(-1.0) - 1)));
  CHECK(run("Swish", {{"alpha", "", 2.0F}})[2] == Approx(3 / (1 + std::exp(-6.0))));
}

TEST_CASE("Dropout is the identity unless training is asked for", "[program][dropout]") {
  const Value x = floats({4}, {1, 2, 3, 4});
  const auto idle = run_op({.op = "Dropout"}, {x, floats({}, {0.5F})}, 2);
  CHECK(to_floats(idle[0]) == std::vector<float>{1, 2, 3, 4});
  CHECK(idle[1].type() == DType::Bool);
  CHECK(to_integers(idle[1]) == std::vector<int64_t>{1, 1, 1, 1});
}

TEST_CASE("Dropout in training zeroes the ratio asked for and scales the rest", "[program][dropout]") {
  const Value x = floats({10000}, std::vector<float>(10000, 1.0F));
  const OneNode node{.op = "Dropout", .training = true, .seed = 3};
  const auto out = run_op(node, {x, floats({}, {0.25F})}, 2);
  const auto values = to_floats(out[0]);
  const auto mask = to_integers(out[1]);
  int64_t kept = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    REQUIRE(values[i] == (mask[i] != 0 ? Approx(1 / 0.75) : Approx(0)));
    kept += mask[i];
  }
  CHECK(kept > 7300);  // 7500 expected, standard deviation 43
  CHECK(kept < 7700);
  CHECK(to_integers(run_op(node, {x, floats({}, {0.25F})}, 2)[1]) == mask);
}
