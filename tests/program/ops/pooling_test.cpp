#include <ATen/TensorOperators.h>

#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Attribute list(const char* name, std::vector<int64_t> values) {
  return {name, "", std::move(values)};
}
Attribute flag(const char* name) { return {name, "", int64_t{1}}; }

}  // namespace

TEST_CASE("averages count the padding only when asked to", "[program][pooling]") {
  const Value x = floats({1, 1, 3}, {3, 6, 9});
  const auto of = [&](std::vector<Attribute> attributes) {
    attributes.push_back(list("kernel_shape", {3}));
    attributes.push_back(list("pads", {1, 0}));
    return to_floats(run_op({.op = "AveragePool", .attributes = std::move(attributes)}, {x})[0]);
  };
  CHECK_THAT(of({}), close_to({4.5F, 6}));
  CHECK_THAT(of({flag("count_include_pad")}), close_to({3, 6}));
}

TEST_CASE("with ceil_mode the last window may hang over the end but not start there",
          "[program][pooling]") {
  const Value x = floats({1, 1, 4}, {1, 5, 2, 3});
  const auto of = [&](int64_t kernel, int64_t stride) {
    return to_floats(run_op({.op = "MaxPool",
                             .opset = 12,
                             .attributes = {list("kernel_shape", {kernel}),
                                            list("strides", {stride}), flag("ceil_mode")}},
                            {x})[0]);
  };
  CHECK(of(3, 2) == std::vector<float>{5, 3});
  CHECK(of(1, 4) == std::vector<float>{1});
}

TEST_CASE("indices of maxima count over the whole tensor, in either order", "[program][pooling]") {
  const Value x = floats({1, 2, 2, 2}, {1, 2, 4, 3, 5, 9, 6, 7});
  const auto of = [&](int64_t order) {
    const OneNode node{.op = "MaxPool",
                       .opset = 12,
                       .attributes = {list("kernel_shape", {2, 2}), {"storage_order", "", order}}};
    return to_integers(run_op(node, {x}, 2)[1]);
  };
  CHECK(of(0) == std::vector<int64_t>{2, 5});
  CHECK(of(1) == std::vector<int64_t>{1, 6});
}

TEST_CASE("LpPool has the gradient 0 where everything is 0", "[program][pooling]") {
  at::Tensor x = floats({1, 1, 4}, {0, 0, 3, 4}).tensor().clone();
  x.requires_grad_();
  const auto out = run_op(
      {.op = "LpPool", .attributes = {list("kernel_shape", {2}), list("strides", {2})}}, {x});
  CHECK_THAT(to_floats(out[0].tensor().detach()), close_to({0, 5}));
  out[0].tensor().sum().backward();
  CHECK_THAT(to_floats(x.grad()), close_to({0, 0, 0.6F, 0.8F}));
}

TEST_CASE("regions are pooled from cells with rounded borders", "[program][pooling]") {
  const Value x = floats({1, 1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Value region = floats({1, 5}, {0, 0.4F, 0, 2.6F, 1});  // columns 0 to 3 after rounding
  const auto out =
      run_op({.op = "MaxRoiPool", .attributes = {list("pooled_shape", {1, 2})}}, {x, region});
  CHECK(to_floats(out[0]) == std::vector<float>{6, 8});
}
