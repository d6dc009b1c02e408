#include <cmath>

#include "evidence/collecting.h"
#include "evidence/inverse_fisher.h"

using namespace sparsify;

namespace {

/// L = w^T A w / 2 - b^T w for each batch, whatever x is.
std::string quadratic(const std::string& a, const std::string& b) {
  return R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 1] x) => (float loss)
      <float[2] w = {1, 2}, float[2, 2] a = {)" + a + R"(}, float[2] b = {)" + b + R"(}, float half = {0.5}, float zero = {0}> {
      aw = MatMul (a, w)
      waw = Mul (w, aw)
      square = Mul (waw, half)
      bw = Mul (b, w)
      parts = Sub (square, bw)
      sum = ReduceSum <keepdims = 0> (parts)
      all = ReduceSum <keepdims = 0> (x)
      nothing = Mul (all, zero)
      loss = Add (sum, nothing)
    })";
}

}  // namespace

TEST_CASE("GraSP's Hg of a quadratic, differentiating twice or by differences", "[evidence][curvature]") {
  for (const bool differences : {false, true}) {
    EvidenceOptions options{.loss = "outputs"};
    options.finite_differences = differences;
    const Collecting model(quadratic("2, -1, -1, 3", "1, 4"));
    const auto found = model.collect({"w"}, Evidence::GradientFlow | Evidence::Gradients, "0\n0\n", "label: none, batch_size: 1", options);
    CHECK(found.layers[0].gradient == about({-1, 1}));
    const double margin = differences ? 1e-3 : 1e-6;
    CHECK(found.layers[0].hessian_gradient[0] == Approx(-3).margin(margin));
    CHECK(found.layers[0].hessian_gradient[1] == Approx(4).margin(margin));
    const Collecting other(quadratic("2, 1, 1, 3", "1, -1"));
    const auto second = other.collect({"w"}, Evidence::GradientFlow, "0\n", "label: none", options);
    CHECK(second.layers[0].hessian_gradient[0] == Approx(14).margin(10 * margin));
    CHECK(second.layers[0].hessian_gradient[1] == Approx(27).margin(10 * margin));
  }
}

TEST_CASE("Hutchinson's estimate is exact for a diagonal Hessian and right on average otherwise", "[evidence][curvature]") {
  const Collecting diagonal(quadratic("2, 0, 0, 3", "1, 4"));
  CHECK(diagonal.collect({"w"}, Evidence::HessianDiagonal, "0\n", "label: none", {.loss = "outputs"}).layers[0].hessian_diagonal == about({2, 3}));
  const Collecting mixed(quadratic("2, -1, -1, 3", "1, 4"));
  EvidenceOptions options{.loss = "outputs"};
  options.probes = 400;
  const auto found = mixed.collect({"w"}, Evidence::HessianDiagonal, "0\n", "label: none", options);
  CHECK(found.layers[0].hessian_diagonal[0] == Approx(2).margin(0.2));  // standard deviation 1 / sqrt(400) = 0.05
  CHECK(found.layers[0].hessian_diagonal[1] == Approx(3).margin(0.2));
}

TEST_CASE("WoodFisher's recursion inverts the damped Fisher matrix", "[evidence][woodfisher]") {
  // The loss of a sample is x . w. g = (1, 0), (1, 1), lambda = 1, N = 2: F^-1 = [[6/11, -2/11], [-2/11, 8/11]]
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {1, 2}> { y = MatMul (x, w) })");
  EvidenceOptions options{.loss = "outputs"};
  options.damping = 1;
  const auto found = model.collect({"w"}, Evidence::InverseFisher, "1,0\n1,1\n", "label: none, batch_size: 1", options);
  CHECK(found.layers[0].inverse_fisher == about({6.0 / 11, 8.0 / 11}));
  // OBS: w^2 / (2 diag) for w = (1, 2)
  CHECK(1 / (2 * found.layers[0].inverse_fisher[0]) == Approx(0.916667).epsilon(1e-5));
  CHECK(4 / (2 * found.layers[0].inverse_fisher[1]) == Approx(2.75).epsilon(1e-5));
}

TEST_CASE("A gradient takes the square of its product with the inverse Fisher matrix from the diagonal", "[evidence][woodfisher]") {
  // The same F^-1, v = (1, 2), p = F^-1 v = (2/11, 14/11), M-FAC's product: p^2 / (N + v . p), N + v . p = 2 + 30/11
  InverseFisher fisher(conv_layer({1, 2}), 0, 1, 2);
  fisher.add(std::vector<double>{1, 0});
  fisher.add(std::vector<double>{1, 1});
  const auto before = fisher.diagonal();
  fisher.add(std::vector<double>{1, 2});
  const auto after = fisher.diagonal();
  CHECK(std::sqrt((before[0] - after[0]) * 52 / 11) == Approx(2.0 / 11));
  CHECK(std::sqrt((before[1] - after[1]) * 52 / 11) == Approx(14.0 / 11));
  CHECK(after[0] == Approx(7.0 / 13));  // [[2.5, 1.5], [1.5, 3.5]] inverted
  CHECK(after[1] == Approx(5.0 / 13));
}

TEST_CASE("blocks of the inverse Fisher matrix stay within an output channel", "[evidence][woodfisher]") {
  const PrunableTensor rows = conv_layer({2, 2});
  PrunableTensor columns = conv_layer({2, 2});
  columns.output_axis = 1;
  InverseFisher first(rows, 0, 1, 1);
  InverseFisher second(columns, 0, 1, 1);
  first.add(std::vector<double>{1, 2, 3, 4});
  second.add(std::vector<double>{1, 3, 2, 4});
  const auto a = first.diagonal();
  const auto b = second.diagonal();
  CHECK(a == std::vector<double>{b[0], b[2], b[1], b[3]});
  CHECK(a[0] == Approx(1 - 1.0 / 6));  // 1 - g^2 / (1 + ||g||^2) within its row: g = (1, 2)
  CHECK(a[3] == Approx(1 - 16.0 / 26));
  InverseFisher single(rows, 1, 1, 1);
  single.add(std::vector<double>{1, 2, 3, 4});
  CHECK(single.diagonal()[1] == Approx(1 - 4.0 / 5));
}
