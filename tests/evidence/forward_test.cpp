#include <fmt/core.h>

#include "evidence/collecting.h"
#include "evidence/surroundings.h"

using namespace sparsify;

TEST_CASE("input squares of a product are the squared norms of its input's columns", "[evidence][input_squares]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 4] x) => (float[N, 2] y) <float[4, 2] w = {1, 0.1, -2, 0.2, 3, -0.3, 0.5, 0.4}> { y = MatMul (x, w) })");
  const auto found = model.collect({"w"}, Evidence::InputSquares, "1,0,2,4\n2,1,0,3\n");
  CHECK(found.layers[0].input_squares == std::vector<double>{5, 1, 4, 25});
  CHECK(found.layers[0].input_groups == 1);
}

TEST_CASE("a weight on the left of a product meets the rows of the right operand", "[evidence][input_squares]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[3, N] y) <float[3, 2] w = {1, 2, 3, 4, 5, 6}> {
      t = Transpose <perm = [1, 0]> (x)
      y = MatMul (w, t)
    })");
  CHECK(model.collect({"w"}, Evidence::InputSquares, "1,2\n3,0\n").layers[0].input_squares == std::vector<double>{10, 4});
}

namespace {

/// A square two-dimensional Conv of 4 channels of 5 x 5 with a 2 x 2 kernel.
struct Window {
  int64_t groups, stride, pad, dilation;
};

/// Squares summed over what im2col would hold, by the definition of Conv.
std::vector<double> brute_force(const std::vector<float>& x, const Window& window) {
  constexpr int64_t kSize = 5;
  const int64_t out = (kSize + 2 * window.pad - window.dilation - 1) / window.stride + 1;
  std::vector<double> sums(16);
  for (size_t plane = 0; plane < x.size() / 25; ++plane) {
    for (size_t column = 0; column < 4; ++column) {
      for (int64_t i = 0; i < out * out; ++i) {
        const int64_t y = i / out * window.stride - window.pad + static_cast<int64_t>(column / 2) * window.dilation;
        const int64_t z = i % out * window.stride - window.pad + static_cast<int64_t>(column % 2) * window.dilation;
        if (y < 0 || z < 0 || y >= kSize || z >= kSize) continue;
        const double value = x[plane * 25 + static_cast<size_t>(y * kSize + z)];
        sums[plane % 4 * 4 + column] += value * value;
      }
    }
  }
  return sums;
}

}  // namespace

TEST_CASE("input squares of a convolution are those of im2col's columns", "[evidence][input_squares]") {
  for (const Window c : {Window{1, 1, 1, 1}, Window{2, 2, 1, 1}, Window{4, 2, 0, 2}, Window{1, 3, 2, 2}}) {
    std::string values;
    for (int64_t i = 0; i < 64 / c.groups; ++i) values += fmt::format("{}{}", i == 0 ? "" : ", ", i % 5 - 2);
    const Collecting model(fmt::format(R"(<ir_version: 8, opset_import: ["": 17]>
      graph (float[N, 100] x) => (float[N, 4, a, b] y) <float[4, {}, 2, 2] w = {{{}}}, int64[4] shape = {{-1, 4, 5, 5}}> {{
        image = Reshape (x, shape)
        y = Conv <group = {}, strides = [{}, {}], pads = [{}, {}, {}, {}], dilations = [{}, {}]> (image, w)
      }})", 4 / c.groups, values, c.groups, c.stride, c.stride, c.pad, c.pad, c.pad, c.pad, c.dilation, c.dilation));
    std::vector<float> x;
    std::string rows;
    for (int i = 0; i < 300; ++i) {
      x.push_back(static_cast<float>((i * 37 % 19) - 9));
      rows += fmt::format("{}{}", x.back(), i % 100 == 99 ? "\n" : ",");
    }
    const auto found = model.collect({"w"}, Evidence::InputSquares, rows, "label: none, batch_size: 2");
    CHECK(found.layers[0].input_groups == c.groups);
    CHECK(found.layers[0].input_squares == brute_force(x, c));
  }
}

TEST_CASE("a kernel that is stored with its outputs last has its columns in stored order", "[evidence][input_squares]") {
  // [kh, kw, in, out] as TensorFlow stores it: kernel row 0 sees image row 0, row 1 sees row 1.
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 8] x) => (float[N, 1, a, b] y) <float[2, 1, 2, 1] k = {1, 2, 3, 4}, int64[4] shape = {-1, 2, 2, 2}> {
      image = Reshape (x, shape)
      w = Transpose <perm = [3, 2, 0, 1]> (k)
      y = Conv (image, w)
    })");
  CHECK(model.layer("k").output_axis == 3);
  const auto found = model.collect({"k"}, Evidence::InputSquares, "1,1,2,2,3,3,4,4\n");
  CHECK(found.layers[0].input_squares == std::vector<double>{2, 18, 8, 32});
}

TEST_CASE("channel statistics are taken behind bias and ReLU", "[evidence][activations]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 0, 0, 1}, float[2] bias = {-1, 0}, float[2, 2] v = {1, 0, 0, 1}> {
      a = MatMul (x, w)
      b = Add (a, bias)
      c = Relu (b)
      y = MatMul (c, v)
    })");
  // behind the ReLU channel 0 is 0, 0, 1, 2 and channel 1 is 3, 0, 0, 0
  const auto found = model.collect({"w", "v"}, Evidence::Activations, "0,3\n1,-1\n2,0\n3,-2\n", "label: none, batch_size: 3");
  const LayerEvidence& layer = found.layers[0];
  CHECK(layer.activation == "Relu");
  CHECK(layer.zero_fraction == std::vector<double>{0.5, 0.75});
  CHECK(layer.mean_magnitude == std::vector<double>{0.75, 0.75});
  CHECK(layer.mean == std::vector<double>{0.75, 0.75});
  CHECK(layer.variance == std::vector<double>{5 / 4.0 - 0.5625, 9 / 4.0 - 0.5625});
  CHECK(found.layers[1].activation.empty());
}

TEST_CASE("the rank of a channel's maps is averaged over the samples", "[evidence][activations]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 4] x) => (float[N, 2, 2, 2] y) <float[2, 1, 1, 1] w = {1, 0}, int64[4] shape = {-1, 1, 2, 2}> {
      image = Reshape (x, shape)
      y = Conv (image, w)
    })");
  // maps [[1, 0], [0, 1]] of rank 2 and [[1, 2], [2, 4]] of rank 1; the second channel is 0
  const auto found = model.collect({"w"}, Evidence::Activations | Evidence::FeatureRank, "1,0,0,1\n1,2,2,4\n");
  CHECK(found.layers[0].feature_rank == std::vector<double>{1.5, 0});
}

TEST_CASE("the surroundings of a layer: its BatchNormalization, its activation, its input", "[evidence][surroundings]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 1, 4, 4] x) => (float[N, 2, 4, 4] y)
      <float[2, 1, 1, 1] w = {1, 2}, float[2] gamma = {3, -4}, float[2] zero = {0, 0}, float[2] one = {1, 1}, float[2, 2, 1, 1] v = {1, 2, 3, 4}> {
      a = Conv (x, w)
      b = BatchNormalization (a, gamma, zero, zero, one)
      c = Relu (b)
      d = Conv (c, v)
      y = Add (d, c)
    })");
  const auto found = find_surroundings(model.file, {model.layer("w"), model.layer("v")});
  CHECK(found[0].batch_norm_scale == std::vector<double>{3, -4});
  CHECK(found[0].activation() == "Relu");
  REQUIRE(found[0].uses.size() == 1);
  CHECK(found[0].uses[0].input == "x");
  CHECK(found[0].uses[0].observed == "c");
  CHECK(found[1].batch_norm_scale.empty());
  CHECK(found[1].activation().empty());
  CHECK(found[1].uses[0].observed == "d");  // the sum reads more than this layer
}
