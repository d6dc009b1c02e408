#include "base/error.h"
#include "evidence/collecting.h"

using namespace sparsify;

namespace {

/// y = x W^T
const char* const kProduct = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, -1, 2, 0.5}> { y = Gemm <transB = 1> (x, w) })";

/// The loss of a sample is x . w: its gradient is the sample.
const char* const kLinear = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {1, 2}> { y = MatMul (x, w) })";

}  // namespace

TEST_CASE("the gradient of half the squared output is SNIP's mask gradient over the weight", "[evidence][gradient]") {
  const Collecting model(kProduct);
  const auto found = model.collect({"w"}, Evidence::Gradients | Evidence::GradientProducts | Evidence::ChannelProducts, "1,2\n");
  const LayerEvidence& w = found.layers[0];
  CHECK(w.gradient == about({-1, -2, 3, 6}));  // (Wx) x^T with Wx = (-1, 3)
  CHECK(w.product_magnitudes == about({1, 2, 6, 3}));
  CHECK(w.product_squares == about({1, 4, 36, 9}));
  CHECK(w.channel_squares == about({1, 81}));  // (-1 + 2)^2 and (6 + 3)^2
  CHECK(w.samples == 1);
  CHECK(w.batches == 1);
}

TEST_CASE("opposite batches cancel in the signed gradient and not in the products", "[evidence][gradient]") {
  const Collecting model(kLinear);
  const auto found = model.collect({"w"}, Evidence::Gradients | Evidence::GradientProducts, "1,3\n-1,-3\n", "label: none, batch_size: 1", {.loss = "outputs"});
  CHECK(found.layers[0].gradient == std::vector<double>{0, 0});
  CHECK(found.layers[0].product_magnitudes == about({1, 6}));
  CHECK(found.layers[0].batches == 2);
}

TEST_CASE("an incomplete last batch counts by its samples", "[evidence][gradient]") {
  const Collecting model(kLinear);
  const auto found = model.collect({"w"}, Evidence::Gradients, "3,0\n3,0\n0,3\n", "label: none, batch_size: 2", {.loss = "outputs"});
  CHECK(found.layers[0].gradient == about({2, 1}));
}

TEST_CASE("Fisher squares the gradients of single samples, not of the batch", "[evidence][fisher]") {
  const Collecting model(kLinear);
  CHECK(model.collect({"w"}, Evidence::Fisher, "1,0\n1,1\n", "label: none", {.loss = "outputs"}).layers[0].fisher == about({1, 0.5}));
  EvidenceOptions pairs{.loss = "outputs"};
  pairs.samples_a_gradient = 2;
  CHECK(model.collect({"w"}, Evidence::Fisher, "1,0\n1,1\n", "label: none", pairs).layers[0].fisher == about({1, 0.25}));
}

TEST_CASE("single samples are differentiated in a model of a fixed batch, too", "[evidence][fisher]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2, 2] x) => (float[2, 1] y) <float[2, 1] w = {1, 2}> { y = MatMul (x, w) })");
  const auto found = model.collect({"w"}, Evidence::Fisher, "1,0\n1,1\n4,1\n", "label: none", {.loss = "outputs"});
  CHECK(found.layers[0].fisher == about({6, 2.0 / 3}));  // (1 + 1 + 16) / 3: the row that fills up the last batch is none
}

TEST_CASE("a gate behind BatchNormalization has the gradient gamma g_gamma + beta g_beta", "[evidence][taylor]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 3] x) => (float[N, 2] y)
      <float[3, 2] w = {1, -1, 0.5, 2, 0.25, 1}, float[2] gamma = {0.7, -1.3}, float[2] beta = {0.2, 0.9}, float[2] mean = {0.1, -0.2},
       float[2] var = {1.5, 0.8}, float[2] gate = {1, 1}, float[2, 2] v = {1, 2, -1, 0.5}> {
      a = MatMul (x, w)
      b = BatchNormalization (a, gamma, beta, mean, var)
      c = Mul (b, gate)
      y = MatMul (c, v)
    })");
  const auto found = model.collect({"gamma", "beta", "gate"}, Evidence::Gradients, "1,2,3\n-1,0.5,2\n0.3,-2,1\n");
  const std::vector<double> gamma = {0.7, -1.3};
  const std::vector<double> beta = {0.2, 0.9};
  for (size_t c = 0; c < 2; ++c) {
    CHECK(std::abs(found.layers[2].gradient[c]) > 0.1);
    CHECK(gamma[c] * found.layers[0].gradient[c] + beta[c] * found.layers[1].gradient[c] == Approx(found.layers[2].gradient[c]).epsilon(1e-5));
  }
}

TEST_CASE("cross entropy and its temperature, from scores and from probabilities", "[evidence][loss]") {
  const std::string graph = R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 1] x) => (float[N, 2] y) <float[1, 2] w = {2, 0}> { )";
  const Collecting scores(graph + "y = MatMul (x, w) }");
  const Collecting probabilities(graph + "s = MatMul (x, w) y = Softmax (s) }");
  const double p = 1 / (1 + std::exp(-2.0));  // of class 0 at x = 1
  for (const Collecting* model : {&scores, &probabilities}) {
    CHECK(model->collect({"w"}, Evidence::Gradients, "1,1\n", "batch_size: 1").layers[0].gradient == about({p, -p}));
    CHECK(model->collect({"w"}, Evidence::Gradients, "1,0\n", "batch_size: 1").layers[0].gradient == about({p - 1, 1 - p}));
  }
  const double warm = 1 / (1 + std::exp(-0.2));
  CHECK(scores.collect({"w"}, Evidence::Gradients, "1,1\n", "batch_size: 1", {.temperature = 10}).layers[0].gradient == about({warm / 10, -warm / 10}));
  CHECK(scores.collect({"w"}, Evidence::Gradients, "1\n", "label: none", {.loss = "pseudo_labels"}).layers[0].gradient == about({p - 1, 1 - p}));
}

TEST_CASE("a loss that the data cannot give is refused", "[evidence][loss]") {
  const Collecting model(kProduct);
  CHECK_THROWS_WITH(model.collect({"w"}, Evidence::Gradients, "1,2\n", "label: none", {.loss = "cross_entropy"}), Catch::Contains("needs labels"));
  CHECK_THROWS_WITH(model.collect({"w"}, Evidence::Gradients, "1,2,7\n", "target: class"), Catch::Contains("label 7 is outside the model's 2 classes"));
}

TEST_CASE("a layer behind which the gradient ends is named, not scored with zeros", "[evidence][gradient]") {
  const Collecting model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 0, 0, 1}, float[2, 2] v = {1, 2, 3, 4}> {
      a = MatMul (x, w)
      large = ArgMax <axis = 1> (a)
      back = Cast <to = 1> (large)
      b = Add (x, back)
      y = MatMul (b, v)
    })");
  const auto found = model.collect({"w", "v"}, Evidence::GradientProducts, "1,2\n");
  CHECK_THAT(found.layers[0].missing, Catch::Contains("no gradient"));
  CHECK(found.layers[0].product_squares.empty());
  CHECK(found.layers[1].missing.empty());
  CHECK(found.layers[1].product_squares.size() == 4);
  REQUIRE_FALSE(found.warnings.empty());
  CHECK_THAT(found.warnings[0], Catch::Contains("ArgMax"));
}

TEST_CASE("an integer weight is scored behind its DequantizeLinear", "[evidence][quantised]") {
  const Collecting stored(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 2] y) <int8[2, 2] q = {2, -2, 4, 1}, float scale = {0.5}> {
      w = DequantizeLinear (q, scale)
      y = Gemm <transB = 1> (x, w)
    })");
  const auto found = stored.collect({"q"}, Evidence::Gradients | Evidence::GradientProducts | Evidence::InputSquares, "1,2\n");
  CHECK(found.layers[0].gradient == about({-1, -2, 3, 6}));
  CHECK(found.layers[0].product_magnitudes == about({1, 2, 6, 3}));
  CHECK(found.layers[0].input_squares == about({1, 4}));
}

TEST_CASE("masks in force change what is collected", "[evidence][masks]") {
  const Collecting model(kProduct);
  BitMask mask(4);
  mask.prune(1);
  const auto found = model.collect({"w"}, Evidence::Gradients | Evidence::GradientProducts, "1,2\n", "label: none", {}, {mask});
  CHECK(found.layers[0].gradient == about({1, 2, 3, 6}));  // Wx = (1, 3) now
  CHECK(found.layers[0].product_magnitudes == about({1, 0, 6, 3}));
}

TEST_CASE("the same evidence comes out whatever the number of threads", "[evidence][gradient]") {
  const Collecting model(kProduct);
  const auto one = model.collect({"w"}, Evidence::Gradients, "1,2\n0.3,0.1\n-2,7\n", "label: none", {}, {}, 1);
  const auto two = model.collect({"w"}, Evidence::Gradients, "1,2\n0.3,0.1\n-2,7\n", "label: none", {}, {}, 2);
  CHECK(one.layers[0].gradient == two.layers[0].gradient);
}
