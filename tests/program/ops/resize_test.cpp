#include <ATen/TensorOperators.h>

#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Attribute text(const char* name, const char* value) { return {name, "", std::string(value)}; }

std::vector<float> scaled(std::vector<Attribute> attributes, float scale,
                          const std::vector<float>& row, int64_t opset = 13) {
  const Value x = floats({1, 1, static_cast<int64_t>(row.size())}, row);
  return to_floats(run_op({.op = "Resize", .opset = opset, .attributes = std::move(attributes)},
                          {x, Value(), floats({3}, {1, 1, scale})})[0]);
}

}  // namespace

TEST_CASE("every coordinate mode places the samples of a doubled row", "[program][resize]") {
  const std::vector<float> row{0, 10};
  const auto of = [&](const char* mode) {
    return scaled({text("mode", "linear"), text("coordinate_transformation_mode", mode)}, 2, row);
  };
  CHECK_THAT(of("half_pixel"), close_to({0, 2.5F, 7.5F, 10}));
  CHECK_THAT(of("pytorch_half_pixel"), close_to({0, 2.5F, 7.5F, 10}));
  CHECK_THAT(of("asymmetric"), close_to({0, 5, 10, 10}));
  CHECK_THAT(of("align_corners"), close_to({0, 10.0F / 3, 20.0F / 3, 10}));
}

TEST_CASE("nearest modes differ where a sample lies between two elements", "[program][resize]") {
  const std::vector<float> row{0, 1, 2, 3};  // samples at 0.5 and 2.5
  const auto of = [&](const char* mode) { return scaled({text("nearest_mode", mode)}, 0.5F, row); };
  CHECK(of("round_prefer_floor") == std::vector<float>{0, 2});
  CHECK(of("round_prefer_ceil") == std::vector<float>{1, 3});
  CHECK(of("floor") == std::vector<float>{0, 2});
  CHECK(of("ceil") == std::vector<float>{1, 3});
}

TEST_CASE("the first Resize rounds up when it shrinks", "[program][resize]") {
  const Value x = floats({1, 1, 5}, {0, 1, 2, 3, 4});
  const auto out = run_op({.op = "Resize", .opset = 10},
                          {x, floats({3}, {1, 1, 0.6F})});  // samples at 0, 1.67, 3.33
  CHECK(to_floats(out[0]) == std::vector<float>{0, 2, 4});
}

TEST_CASE("an aspect ratio policy scales all axes alike", "[program][resize]") {
  const Value x = floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const auto sizes = [&](const char* policy) {
    const OneNode node{
        .op = "Resize", .opset = 18, .attributes = {text("keep_aspect_ratio_policy", policy)}};
    return run_op(node, {x, Value(), Value(), integers(DType::Int64, {2}, {4, 4})})[0]
        .tensor()
        .sizes()
        .vec();
  };
  CHECK(sizes("not_larger") == std::vector<int64_t>{2, 4});
  CHECK(sizes("not_smaller") == std::vector<int64_t>{4, 8});
  CHECK(sizes("stretch") == std::vector<int64_t>{4, 4});
}

TEST_CASE("a gradient is shared among the elements that a sample was made of",
          "[program][resize]") {
  for (const char* mode : {"half_pixel", "asymmetric"}) {
    at::Tensor x = floats({1, 1, 2}, {0, 10}).tensor().clone();
    x.requires_grad_();
    const auto out = run_op(
        {.op = "Resize",
         .opset = 13,
         .attributes = {text("mode", "linear"), text("coordinate_transformation_mode", mode)}},
        {x, Value(), floats({3}, {1, 1, 2})});
    out[0].tensor().select(2, 1).sum().backward();
    const bool half = std::string(mode) == "half_pixel";
    CHECK_THAT(to_floats(x.grad()),
               close_to(half ? std::vector<float>{0.75F, 0.25F} : std::vector<float>{0.5F, 0.5F}));
  }
}

TEST_CASE("linear interpolation of integers cuts the fraction off, as ONNX Runtime's kernels do", "[program][resize]") {
  const auto doubled = [](DType type, const std::vector<int64_t>& image) {
    const OneNode node{.op = "Resize", .opset = 19, .attributes = {text("mode", "linear")}};
    const at::Tensor y = run_op(node, {integers(type, {1, 1, 2, 3}, image), Value(), Value(), integers(DType::Int64, {4}, {1, 1, 4, 6})})[0].tensor();
    return to_floats(y.to(at::kFloat).reshape({4, 6}).slice(0, 0, 2));
  };
  // Numbers of ONNX Runtime 1.31.1.
  CHECK(doubled(DType::UInt8, {30, 41, 7, 0, 93, 14}) == std::vector<float>{30, 32, 38, 32, 15, 7, 22, 30, 46, 42, 20, 8});
  CHECK(doubled(DType::Int8, {30, 41, -7, 0, 93, 14}) == std::vector<float>{30, 32, 38, 29, 5, -7, 22, 30, 46, 40, 12, -1});
}
