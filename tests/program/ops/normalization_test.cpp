#include <ATen/TensorOperators.h>

#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

const Attribute kExact{"epsilon", "", 0.0F};

}  // namespace

TEST_CASE("in training BatchNormalization uses the batch and moves the stored statistics",
          "[program][normalization]") {
  const Value x = floats({4, 1}, {1, 3, 5, 7});  // mean 4, population variance 5
  const Value one = floats({1}, {1});
  const Value zero = floats({1}, {0});
  const Value mean = floats({1}, {10});
  const Value variance = floats({1}, {1});
  const OneNode node{.op = "BatchNormalization",
                     .opset = 15,
                     .attributes = {kExact, {"momentum", "", 0.5F}},
                     .training = true};

  const auto out = run_op(node, {x, one, zero, mean, variance});

  CHECK_THAT(to_floats(out[0]), close_to({-1.34164F, -0.447214F, 0.447214F, 1.34164F}));
  CHECK_THAT(to_floats(mean), close_to({7}));
  CHECK_THAT(to_floats(variance), close_to({3}));
}

TEST_CASE("without training BatchNormalization keeps to what is stored",
          "[program][normalization]") {
  const Value x = floats({2, 1}, {12, 14});
  const OneNode node{.op = "BatchNormalization", .opset = 15, .attributes = {kExact}};
  const auto out =
      run_op(node, {x, floats({1}, {3}), floats({1}, {1}), floats({1}, {10}), floats({1}, {4})});
  CHECK_THAT(to_floats(out[0]), close_to({4, 7}));
}

TEST_CASE("the oldest BatchNormalization may keep statistics for every element",
          "[program][normalization]") {
  const Value x = floats({1, 1, 2}, {3, 5});
  const OneNode node{
      .op = "BatchNormalization", .opset = 7, .attributes = {kExact, {"spatial", "", int64_t{0}}}};
  const auto out = run_op(node, {x, floats({1, 2}, {2, 1}), floats({1, 2}, {0, 1}),
                                 floats({1, 2}, {1, 1}), floats({1, 2}, {4, 16})});
  CHECK_THAT(to_floats(out[0]), close_to({2, 2}));
}

TEST_CASE("GroupNormalization scales groups before opset 21 and channels since",
          "[program][normalization]") {
  const Value x =
      floats({1, 4, 1}, {1, 3, 2, 6});  // groups (1, 3) and (2, 6): normalised -1, 1, -1, 1
  const auto of = [&](int64_t opset, const std::vector<float>& scale) {
    const auto count = static_cast<int64_t>(scale.size());
    const Value bias = floats({count}, std::vector<float>(scale.size(), 0));
    const OneNode node{.op = "GroupNormalization",
                       .opset = opset,
                       .attributes = {kExact, {"num_groups", "", int64_t{2}}}};
    return to_floats(run_op(node, {x, floats({count}, scale), bias})[0]);
  };
  CHECK_THAT(of(18, {2, 3}), close_to({-2, 2, -3, 3}));
  CHECK_THAT(of(21, {1, 2, 3, 4}), close_to({-1, 2, -3, 4}));
}

TEST_CASE("LayerNormalization takes a scale that varies over other axes",
          "[program][normalization]") {
  const Value x = floats({2, 2}, {1, 3, 2, 6});
  const auto out =
      run_op({.op = "LayerNormalization", .attributes = {kExact}}, {x, floats({2, 1}, {2, 5})}, 3);
  CHECK_THAT(to_floats(out[0]), close_to({-2, 2, -5, 5}));
  CHECK_THAT(to_floats(out[1]), close_to({2, 4}));
  CHECK_THAT(to_floats(out[2]), close_to({1, 0.5F}));
}
