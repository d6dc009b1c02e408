#include <fmt/core.h>

#include <numeric>

#include "evidence/collecting.h"

using namespace sparsify;

namespace {

std::string network(const std::string& first, const std::string& activation = "Relu") {
  return R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 1] y)
      <float[2, 2] w1 = {)" + first + R"(}, float[2] b1 = {5, -7}, float[1, 2] w2 = {2, -1}> {
      a = Gemm <transB = 1> (x, w1, b1)
      b = )" + activation + R"( (a)
      y = Gemm <transB = 1> (b, w2)
    })";
}

}  // namespace

TEST_CASE("SynFlow's shares are those of the paths, whatever the signs and biases", "[evidence][synflow]") {
  // W1 = [[1, -2], [3, 4]], W2 = [[2, -1]]: R = 13, S1 = [[2, 4], [3, 4]], S2 = [[6, 7]]
  for (const char* first : {"1, -2, 3, 4", "-1, 2, -3, -4"}) {
    const Collecting model(network(first));
    const auto found = model.collect({"w1", "w2"}, Evidence::SynapticFlow);
    const std::vector<double>& one = found.layers[0].synaptic_flow;
    const std::vector<double>& two = found.layers[1].synaptic_flow;
    CHECK(one == about({2.0 / 13, 4.0 / 13, 3.0 / 13, 4.0 / 13}));
    CHECK(two == about({6.0 / 13, 7.0 / 13}));
    CHECK(std::accumulate(one.begin(), one.end(), 0.0) == Approx(1).epsilon(1e-12));
    CHECK(one[0] + one[1] == Approx(two[0]).epsilon(1e-12));  // what flows into a hidden unit flows out of it
  }
}

TEST_CASE("SynFlow ends in front of a softmax and respects masks", "[evidence][synflow]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 2, 3, 4}> {
      a = Gemm <transB = 1> (x, w)
      y = Softmax (a)
    })");
  CHECK(model.collect({"w"}, Evidence::SynapticFlow).layers[0].synaptic_flow == about({0.1, 0.2, 0.3, 0.4}));
  BitMask mask(4);
  mask.prune(3);
  CHECK(model.collect({"w"}, Evidence::SynapticFlow, "", "", {}, {mask}).layers[0].synaptic_flow == about({1.0 / 6, 2.0 / 6, 3.0 / 6, 0}));
  const BitMask none(4, false);
  CHECK_THROWS_WITH(model.collect({"w"}, Evidence::SynapticFlow, "", "", {}, {none}), Catch::Contains("no path"));
}

TEST_CASE("SynFlow keeps apart what leaves float32's range", "[evidence][synflow]") {
  std::string graph = R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 1] x) => (float[N, 1] y) <float[1, 1] w = {1e15}> { )";
  std::string last = "x";
  for (int i = 0; i < 8; ++i) {  // R = 1e120
    const std::string next = i == 7 ? "y" : fmt::format("h{}", i);
    graph += fmt::format("{} = MatMul ({}, w) ", next, last);
    last = next;
  }
  const Collecting model(graph + "}");
  CHECK(model.collect({"w"}, Evidence::SynapticFlow).layers[0].synaptic_flow == about({8}));  // the sum over its eight uses
}

TEST_CASE("SynFlow refuses a network that does not grow in proportion to its input", "[evidence][synflow]") {
  const Collecting model(network("1, 2, 3, 4", "Sigmoid"));
  CHECK_THROWS_WITH(model.collect({"w1"}, Evidence::SynapticFlow), Catch::Contains("it has Sigmoid"));
}
