#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Attribute list(const char* name, std::vector<int64_t> values) {
  return {name, "", std::move(values)};
}

}  // namespace

TEST_CASE("a convolution pads each side as it is told", "[program][convolution]") {
  const Value x = floats({1, 1, 3}, {1, 2, 3});
  const Value w = floats({1, 1, 2}, {1, 10});
  const auto out = run_op({.op = "Conv", .attributes = {list("pads", {2, 0})}}, {x, w});
  CHECK(to_floats(out[0]) == std::vector<float>{0, 10, 21, 32});
}

TEST_CASE("SAME_LOWER puts the odd element in front, SAME_UPPER behind", "[program][convolution]") {
  const Value x = floats({1, 1, 3}, {1, 2, 3});
  const Value w = floats({1, 1, 2}, {1, 10});
  const auto padded = [&](const char* mode) {
    return to_floats(
        run_op({.op = "Conv", .attributes = {{"auto_pad", "", std::string(mode)}}}, {x, w})[0]);
  };
  CHECK(padded("SAME_UPPER") == std::vector<float>{21, 32, 3});
  CHECK(padded("SAME_LOWER") == std::vector<float>{10, 21, 32});
  CHECK(padded("VALID") == std::vector<float>{21, 32});
}

TEST_CASE("a transposed convolution cuts different amounts from its ends",
          "[program][convolution]") {
  const Value x = floats({1, 1, 2}, {1, 2});
  const Value w = floats({1, 1, 3}, {1, 10, 100});
  const Value bias = floats({1}, {0.5F});
  const auto of = [&](std::vector<Attribute> attributes) {
    return to_floats(
        run_op({.op = "ConvTranspose", .attributes = std::move(attributes)}, {x, w, bias})[0]);
  };
  CHECK(of({}) == std::vector<float>{1.5F, 12.5F, 120.5F, 200.5F});
  CHECK(of({list("pads", {0, 2})}) == std::vector<float>{1.5F, 12.5F});
  CHECK(of({list("strides", {2}), list("output_shape", {4})}) ==
        std::vector<float>{10.5F, 102.5F, 20.5F, 200.5F});
  // Larger than everything that the window reaches: only the bias is there.
  CHECK(of({list("output_shape", {6})}) ==
        std::vector<float>{1.5F, 12.5F, 120.5F, 200.5F, 0.5F, 0.5F});
}

TEST_CASE("a deformable convolution without offsets is a convolution", "[program][convolution]") {
  const Value x = floats({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const Value w = floats({1, 1, 2, 2}, {1, 10, 100, 1000});
  const Value offset = floats({1, 8, 1, 2}, std::vector<float>(16, 0));
  CHECK(to_floats(run_op({.op = "DeformConv"}, {x, w, offset})[0]) ==
        to_floats(run_op({.op = "Conv"}, {x, w})[0]));
}
