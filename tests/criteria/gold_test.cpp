// Numbers derived by hand: docs/criteria.md names the papers.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "criteria/criterion.h"
#include "support/catch.h"
#include "support/layers.h"

using namespace sparsify;

namespace {

std::vector<float> scores_of(const std::string& name, const std::string& options, const PrunableTensor& layer,
                             const std::vector<float>& weights, const LayerEvidence& evidence = {}) {
  const auto criterion = Registry<Criterion>::instance().make(name, Options(parse_yaml(options, "r.yaml"), "criterion"));
  std::vector<float> scores(weights.size(), std::nanf(""));
  criterion->score(layer, weights, evidence, scores);
  return scores;
}

int64_t lowest(const std::vector<float>& scores) { return std::min_element(scores.begin(), scores.end()) - scores.begin(); }

std::string refusal(const std::string& name, const PrunableTensor& layer, const LayerSurroundings& surroundings) {
  return Registry<Criterion>::instance().make(name, Options{})->refuses(layer, surroundings);
}

}  // namespace

TEST_CASE("OBD and OBS score the weights of a two-dimensional quadratic", "[criteria][obd][woodfisher]") {
  const PrunableTensor layer = conv_layer({1, 2});
  // H = [[2, 1], [1, 1]], H^-1 = [[1, -1], [-1, 2]], w = (1, 1)
  CHECK(scores_of("obd", "{curvature: hessian}", layer, {1, 1}, {.hessian_diagonal = {2, 1}}) == std::vector<float>{1, 0.5f});
  CHECK(scores_of("woodfisher", "{}", layer, {1, 1}, {.inverse_fisher = {1, 2}}) == std::vector<float>{0.5f, 0.25f});
}

TEST_CASE("magnitude, OBD and OBS each remove another weight of one quadratic", "[criteria][obd][woodfisher]") {
  // H = [[1, -2, 0], [-2, 5, 0], [0, 0, 1]], diag H^-1 = (5, 1, 1)
  const PrunableTensor layer = conv_layer({1, 3});
  const std::vector<float> weights = {4, 2, 3};
  CHECK(lowest(scores_of("magnitude", "{}", layer, weights)) == 1);
  const auto obd = scores_of("obd", "{}", layer, weights, {.fisher = {1, 5, 1}});
  CHECK(obd == std::vector<float>{8, 10, 4.5f});
  CHECK(lowest(obd) == 2);
  const auto obs = scores_of("woodfisher", "{}", layer, weights, {.inverse_fisher = {5, 1, 1}});
  CHECK(obs == std::vector<float>{1.6f, 2, 4.5f});
  CHECK(lowest(obs) == 0);
}

TEST_CASE("SNIP's share of every connection follows from its gate's gradient", "[criteria][snip]") {
  // W = [[1, -1], [2, .5]], x = (1, 2), L = ||Wx||^2 / 2: g = (Wx) x^T = [[-1, -2], [3, 6]]
  const PrunableTensor layer = conv_layer({2, 2});
  auto scores = scores_of("snip", "{}", layer, {1, -1, 2, 0.5f}, {.gradient = {-1, -2, 3, 6}});
  CHECK(scores == std::vector<float>{1, 2, 6, 3});
  const float sum = scores[0] + scores[1] + scores[2] + scores[3];
  for (float& score : scores) score /= sum;
  CHECK(scores[0] == Approx(1.0 / 12));
  CHECK(scores[1] == Approx(1.0 / 6));
  CHECK(scores[2] == Approx(1.0 / 2));
  CHECK(scores[3] == Approx(1.0 / 4));
  CHECK(scores_of("snip", "{accumulate: abs}", layer, {1, -1, 2, 0.5f}, {.product_magnitudes = {4, 3, 2, 1}}) ==
        std::vector<float>{4, 3, 2, 1});
  CHECK_THROWS_AS(scores_of("snip", "{accumulate: abs, pruned_may_return: true}", layer, {1, 1, 1, 1}), ConfigError);
}

TEST_CASE("GraSP keeps the sign and removes the largest change of the gradient's norm", "[criteria][grasp]") {
  const PrunableTensor layer = conv_layer({1, 2});
  // A = [[2, -1], [-1, 3]], b = (1, 4), w = (1, 2): Hg = (-3, 4), S = (3, -8); |S| would remove the other one
  const auto scores = scores_of("grasp", "{}", layer, {1, 2}, {.hessian_gradient = {-3, 4}});
  CHECK(scores == std::vector<float>{-3, 8});
  CHECK(lowest(scores) == 0);
  CHECK(scores_of("grasp", "{}", layer, {1, 2}, {.hessian_gradient = {14, 27}}) == std::vector<float>{14, 54});
}

TEST_CASE("Taylor takes what its options name", "[criteria][taylor]") {
  const PrunableTensor layer = conv_layer({2, 2});
  const std::vector<float> weights = {1, -2, 3, 4};
  const LayerEvidence evidence{.gradient = {1, 1, 0, 2},
                               .product_magnitudes = {1, 2, 3, 4},
                               .product_squares = {5, 6, 7, 8},
                               .channel_squares = {9, 10},
                               .hessian_diagonal = {2, 0, 2, 1}};
  CHECK(scores_of("taylor", "{}", layer, weights, evidence) == std::vector<float>{5, 6, 7, 8});
  CHECK(scores_of("taylor", "{average: magnitudes}", layer, weights, evidence) == std::vector<float>{1, 2, 3, 4});
  CHECK(scores_of("taylor", "{granularity: channel}", layer, weights, evidence) == std::vector<float>{9, 9, 10, 10});
  // |h w^2 / 2 - g w|: |1 - 1|, |0 + 2|, |9 - 0|, |8 - 8|
  CHECK(scores_of("taylor", "{order: 2}", layer, weights, evidence) == std::vector<float>{0, 2, 9, 0});
  CHECK_THROWS_AS(scores_of("taylor", "{order: 2, granularity: channel}", layer, weights, evidence), ConfigError);
}

TEST_CASE("diagonal Fisher is twice OBD with the same curvature", "[criteria][fisher]") {
  const PrunableTensor layer = conv_layer({1, 2});
  CHECK(scores_of("fisher", "{}", layer, {3, -2}, {.fisher = {1, 4}}) == std::vector<float>{9, 16});
  CHECK(scores_of("obd", "{}", layer, {3, -2}, {.fisher = {1, 4}}) == std::vector<float>{4.5f, 8});
}

TEST_CASE("Wanda prefers small weights on loud inputs", "[criteria][wanda]") {
  // X = [[1, 0, 2, 4], [2, 1, 0, 3]]: squared norms of the columns (5, 1, 4, 25)
  const PrunableTensor layer = conv_layer({2, 4});
  const std::vector<float> weights = {1, -2, 3, 0.5f, 0.1f, 0.2f, -0.3f, 0.4f};
  const auto scores = scores_of("wanda", "{}", layer, weights, {.input_squares = {5, 1, 4, 25}});
  const std::vector<double> squares = {5, 4, 36, 6.25, 0.05, 0.04, 0.36, 4};
  for (size_t i = 0; i < scores.size(); ++i) CHECK(scores[i] * scores[i] == Approx(squares[i]));
  // Half of each row: columns 0 and 1 of both; one ranking over the layer would take the whole second row.
  CHECK(std::max(scores[0], scores[1]) < std::min(scores[2], scores[3]));
  CHECK(std::max(scores[4], scores[5]) < std::min(scores[6], scores[7]));
  CHECK(*std::max_element(scores.begin() + 4, scores.end()) <= *std::min_element(scores.begin(), scores.begin() + 4));
  CHECK(scores_of("wanda", "{norm_power: 0}", layer, weights, {.input_squares = {5, 1, 4, 25}})[1] == 2);
}

TEST_CASE("Wanda finds a column's norm in any layout of the weight", "[criteria][wanda]") {
  // [inputs, outputs] of a MatMul: the same matrix, transposed.
  const auto scores = scores_of("wanda", "{}", matmul_layer(2, 3), {1, 2, 3, 4, 5, 6}, {.input_squares = {4, 9}});
  CHECK(scores == std::vector<float>{2, 4, 6, 12, 15, 18});
  // Two groups of two outputs: each has columns of its own.
  PrunableTensor grouped = conv_layer({4, 1, 1, 2});
  grouped.groups = 2;
  const auto of_groups = scores_of("wanda", "{}", grouped, std::vector<float>(8, 1), {.input_squares = {1, 4, 9, 16}, .input_groups = 2});
  CHECK(of_groups == std::vector<float>{1, 2, 1, 2, 3, 4, 3, 4});
}

TEST_CASE("FPGM removes a filter near the median, not the smallest one", "[criteria][geometric_median]") {
  const PrunableTensor layer = conv_layer({4, 2});
  const auto scores = scores_of("geometric_median", "{}", layer, {0, 0, 0, 1, 1, 0, 3, 3});
  CHECK(scores[0] == Approx(6.242641));
  CHECK(scores[2] == Approx(6.019765));
  CHECK(scores[4] == Approx(6.019765));
  CHECK(scores[6] == Approx(11.453743));
  CHECK(scores[2] == scores[4]);  // an exact tie: selection keeps the lower index and removes filter 2
  CHECK(scores[0] == scores[1]);
}

TEST_CASE("activation criteria give every weight its channel's score", "[criteria][activations]") {
  const PrunableTensor layer = conv_layer({2, 1, 1, 2});
  const std::vector<float> weights(4, 1);
  CHECK(scores_of("apoz", "{}", layer, weights, {.zero_fraction = {0.5, 0.75}}) == std::vector<float>{0.5f, 0.5f, 0.25f, 0.25f});
  CHECK(scores_of("mean_activation", "{}", layer, weights, {.mean_magnitude = {2, 1}}) == std::vector<float>{2, 2, 1, 1});
  CHECK(scores_of("feature_rank", "{}", layer, weights, {.feature_rank = {3.5, 7}}) == std::vector<float>{3.5f, 3.5f, 7, 7});
  CHECK(scores_of("batchnorm_scale", "{}", layer, weights, {.batch_norm_scale = {-2, 1}}) == std::vector<float>{2, 2, 1, 1});
  CHECK(scores_of("mean_activation", "{}", matmul_layer(2, 2), weights, {.mean_magnitude = {2, 1}}) == std::vector<float>{2, 1, 2, 1});
}

TEST_CASE("the Hessian's trace weighs a filter's squared norm", "[criteria][hessian_trace]") {
  // trace / p * ||w||^2 / 2: (1 + 3) / 2 * (1 + 4) / 2 = 5 and (0 + 2) / 2 * (9 + 0) / 2 = 4.5
  CHECK(scores_of("hessian_trace", "{}", conv_layer({2, 2}), {1, 2, 3, 0}, {.hessian_diagonal = {1, 3, 0, 2}}) ==
        std::vector<float>{5, 5, 4.5f, 4.5f});
}

TEST_CASE("movement scores what training accumulated, soft movement its sigmoid", "[criteria][movement]") {
  const PrunableTensor layer = conv_layer({1, 3});
  const LayerEvidence evidence{.movement = {4.1, 0, -2.1972246}};
  CHECK(scores_of("movement", "{}", layer, {1, 1, 1}, evidence) == std::vector<float>{4.1f, 0, -2.1972246f});
  const auto soft = scores_of("soft_movement", "{}", layer, {1, 1, 1}, evidence);
  CHECK(soft[1] == 0.5f);
  CHECK(soft[2] == Approx(0.1));  // the boundary of tau = 0.1 is ln(1/9)
}

TEST_CASE("magnitude divided by the standard deviation of the layer", "[criteria][magnitude]") {
  CHECK(scores_of("magnitude", "{normalise: std}", conv_layer({2}), {1, 3}) == std::vector<float>{1, 3});
  CHECK(scores_of("magnitude", "{normalise: std}", conv_layer({2}), {2, 6}) == std::vector<float>{1, 3});
  CHECK(scores_of("magnitude", "{normalise: std}", conv_layer({2}), {2, 2}) == std::vector<float>{0, 0});
}

TEST_CASE("criteria say why a layer cannot be scored", "[criteria][refuses]") {
  const PrunableTensor layer = conv_layer({2, 1, 1, 1});
  CHECK_THAT(refusal("apoz", layer, {}), Catch::Contains("no ReLU follows"));
  CHECK(refusal("apoz", layer, {.uses = {LayerUse{.activation = "Relu"}}}).empty());
  CHECK_THAT(refusal("batchnorm_scale", layer, {}), Catch::Contains("folded"));
  CHECK(refusal("batchnorm_scale", layer, {.batch_norm_scale = {1, 2}}).empty());
  CHECK_FALSE(refusal("feature_rank", conv_layer({2, 2}), {}).empty());
  PrunableTensor quantised = layer;
  quantised.scale_id = 3;
  CHECK_FALSE(refusal("synflow", quantised, {}).empty());
}
