#include <cmath>
#include <random>

#include "base/error.h"
#include "patterns/checked_mask.h"
#include "support/catch.h"
#include "support/layers.h"

using namespace sparsify;
using Catch::Contains;

namespace {

std::unique_ptr<Pattern> pattern_of(const std::string& yaml) {
  return make_pattern(parse_yaml(yaml, "r.yaml"), "prune.0.pattern");
}

Problem refusal(const std::string& yaml) {
  try {
    pattern_of(yaml);
  } catch (const ConfigError& error) {
    return error.problem();
  }
  return {"accepted", "", ""};
}

BitMask bits(const std::vector<uint8_t>& bytes) { return BitMask::from_bytes(bytes); }

}  // namespace

TEST_CASE("a pattern is written as in the recipe", "[patterns]") {
  CHECK(make_pattern(Setting(), "pattern")->describe() == "unstructured");
  CHECK(pattern_of("unstructured")->describe() == "unstructured");
  CHECK(pattern_of("2:4")->describe() == "2:4");
  CHECK(pattern_of("64:128")->describe() == "64:128");
  CHECK(pattern_of("\"1:16\"")->describe() == "1:16");
  CHECK(pattern_of("{name: n_of_m, n: 4, m: 8}")->describe() == "4:8");
  CHECK(pattern_of("{block: [2, 3]}")->describe() == "block 2x3");
  CHECK(pattern_of("per_row")->describe() == "per_row");
}

TEST_CASE("a pattern with impossible numbers is refused with what, where and fix", "[patterns]") {
  CHECK_THAT(refusal("4:4").what, Contains("4:4 keeps 4 of 4, so it prunes nothing"));
  CHECK_THAT(refusal("4:4").where, Contains("r.yaml:1") && Contains("prune.0.pattern"));
  CHECK_THAT(refusal("4:2").fix, Contains("N < M"));
  CHECK_THAT(refusal("0:4").what, Contains("n is 0"));
  CHECK_THAT(refusal("2:65537").what, Contains("m is 65537"));
  CHECK_THAT(refusal("2:65537").fix, Contains("[2, 65536]"));
  CHECK_THAT(refusal("70000:80000").what, Contains("m is 80000"));
  CHECK_THAT(refusal("{block: [0, 4]}").what, Contains("0"));
  CHECK_THAT(refusal("{block: [4]}").what, Contains("a block has 1 sizes"));
  CHECK_THAT(refusal("\"2:\"").what, Contains("no pattern is named \"2:\""));
  CHECK_THAT(refusal("2:4x").what, Contains("2:4x"));
  CHECK_THAT(refusal("99999999999999999999:4").what, Contains("no pattern"));
  CHECK_THAT(refusal("unstructred").fix, Contains("unstructured"));
  CHECK_THAT(refusal("unstructred").where, Contains("r.yaml:1 (prune.0.pattern)"));
  CHECK_THAT(refusal("{block: [4, 1], size: 3}").what, Contains("name"));
  CHECK_THAT(refusal("{name: unstructured, sise: 3}").what, Contains("sise"));
  CHECK_THAT(refusal("{name: \"2:4\", n: 3}").what, Contains("\"n\""));
}

TEST_CASE("N:M refuses layers that have nothing to choose from", "[patterns][n_of_m]") {
  const auto pattern = pattern_of("2:4");
  CHECK(pattern->refuses(conv_layer({8, 4, 3, 3})).empty());
  CHECK(pattern->refuses(conv_layer({8, 3, 3, 3})).empty());
  CHECK(pattern->refuses(conv_layer({32, 1, 3, 3})) == "1 input channel a group");
  CHECK_THAT(pattern->refuses(conv_layer({32, 2})), Contains("2 input channels"));
  PrunableTensor table = conv_layer({100, 16});
  table.input_axis = -1;
  CHECK_THAT(pattern->refuses(table), Contains("no input axis"));
}

TEST_CASE("N:M fixes the sparsity, exactly also for a partial last group", "[patterns][n_of_m]") {
  const auto pattern = pattern_of("2:4");
  CHECK(pattern->fixed_sparsity(conv_layer({8, 8, 3, 3})) == 0.5);
  CHECK(pattern->fixed_sparsity(conv_layer({8, 6})) == 2.0 / 6);   // 2 of 4 and 2 of 2
  CHECK(pattern->fixed_sparsity(conv_layer({16, 3, 3, 3})) == 1.0 / 3);
  CHECK_FALSE(pattern_of("unstructured")->fixed_sparsity(conv_layer({8, 8})));
}

TEST_CASE("a broken N:M mask is named by its first group", "[patterns][n_of_m]") {
  const auto pattern = pattern_of("2:4");
  CHECK_THAT(pattern->violation(conv_layer({1, 8}), bits({1, 1, 0, 0, 1, 1, 1, 0})),
             Contains("begins at element 4 of \"conv.weight\" keeps more than 2"));
  CHECK(pattern->violation(conv_layer({1, 8}), bits({1, 1, 0, 0, 1, 0, 1, 0})).empty());
}

TEST_CASE("a block stands or falls by the sum of its scores", "[patterns][block]") {
  // 4 outputs of 3 inputs in blocks of 2x2: the right blocks are 2x1, the sums 10 6 / 4 9.
  const PrunableTensor layer = conv_layer({4, 3});
  const std::vector<float> scores = {1, 2, 3,
                                     3, 4, 3,
                                     1, 1, 4,
                                     1, 1, 5};
  const auto pattern = pattern_of("{block: [2, 2]}");
  CHECK(pattern->units(layer) == 4);
  std::vector<float> buffer;
  const ScoreView sums = pattern->unit_scores(layer, scores, buffer);
  CHECK(std::vector<float>{sums[0], sums[1], sums[2], sums[3]} == std::vector<float>{10, 6, 4, 9});
  CHECK(pattern->select(layer, scores, 2) == bits({1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1}));
  CHECK_THAT(pattern->violation(layer, bits({1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1})), Contains("row 0, column 0"));
}

TEST_CASE("blocks of a MatMul weight lie along its outputs and inputs", "[patterns][block]") {
  // [inputs 2, outputs 4]; block [2, 1] = two outputs of one input.
  const PrunableTensor layer = matmul_layer(2, 4);
  const std::vector<float> scores = {1, 1, 5, 0,
                                     2, 2, 3, 3};
  CHECK(pattern_of("{block: [2, 1]}")->select(layer, scores, 2) == bits({0, 0, 1, 1, 0, 0, 1, 1}));
  CHECK(pattern_of("{block: [1, 2]}")->select(layer, scores, 1) == bits({0, 0, 1, 0, 0, 0, 1, 0}));
}

TEST_CASE("equal blocks keep the lower one", "[patterns][block]") {
  CHECK(pattern_of("{block: [1, 2]}")->select(conv_layer({2, 4}), std::vector<float>(8, 1.0f), 2) ==
        bits({1, 1, 1, 1, 0, 0, 0, 0}));
}

TEST_CASE("per row gives every output the same count, the first rows the remainder", "[patterns][per_row]") {
  const PrunableTensor layer = conv_layer({3, 4});
  const std::vector<float> scores = {1, 2, 3, 4,
                                     9, 9, 8, 7,
                                     0, 0, 1, 0};
  CHECK(pattern_of("per_row")->select(layer, scores, 6) == bits({0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 0}));
  CHECK(pattern_of("per_row")->select(layer, scores, 4) == bits({0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0}));
  CHECK_THAT(pattern_of("per_row")->violation(layer, bits({1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0})),
             Contains("row 0 of \"conv.weight\" keeps 4 weights, its share is 2"));
}

TEST_CASE("rows of a MatMul weight are its outputs", "[patterns][per_row]") {
  const std::vector<float> scores = {1, 2, 3,
                                     3, 2, 1};
  CHECK(pattern_of("per_row")->select(matmul_layer(2, 3), scores, 3) == bits({0, 1, 1, 1, 0, 0}));
}

TEST_CASE("N:M keeps as much of normal weights as order statistics say", "[patterns][n_of_m]") {
  // Share of the sum of |w| and of w^2 that stays, w ~ N(0, 1), exact.
  struct Case {
    const char* pattern;
    double magnitude;
    double energy;
  };
  const Case cases[] = {{"2:4", .74450, .86755}, {"4:8", .76829, .89669}, {"8:16", .78180, .91237}, {"1:4", .45894, .61755}, {"1:2", .70711, .81831}, {"2:8", .48419, .66464}};
  const PrunableTensor layer = conv_layer({1024, 1024});
  std::mt19937 random(17);
  std::normal_distribution<float> normal;
  std::vector<float> weights(static_cast<size_t>(layer.count()));
  for (float& weight : weights) weight = normal(random);
  const auto retention = [&](const BitMask& mask) {
    double kept = 0, all = 0, kept_energy = 0, energy = 0;
    for (int64_t i = 0; i < mask.size(); ++i) {
      const double size = std::fabs(weights[static_cast<size_t>(i)]);
      all += size;
      energy += size * size;
      if (!mask[i]) continue;
      kept += size;
      kept_energy += size * size;
    }
    return std::pair(kept / all, kept_energy / energy);
  };
  const ScoreView scores = ScoreView::magnitudes(std::span<const float>(weights));
  for (const Case& one : cases) {
    INFO(one.pattern);
    const auto [magnitude, energy] = retention(make_pattern(Setting(one.pattern), "test")->select(layer, scores, 0));
    CHECK(magnitude == Approx(one.magnitude).epsilon(0).margin(1e-3));
    CHECK(energy == Approx(one.energy).epsilon(0).margin(1e-3));
  }
  const auto [magnitude, energy] = retention(make_pattern(Setting("unstructured"), "test")->select(layer, scores, layer.count() / 2));
  CHECK(magnitude == Approx(.79655).epsilon(0).margin(1e-3));
  CHECK(energy == Approx(.92867).epsilon(0).margin(1e-3));
}

TEST_CASE("a mask of the wrong size or with another count than was asked for is told with the pattern's name", "[patterns][plugins]") {
  class Stubborn final : public Pattern {
   public:
    Stubborn(int64_t units, BitMask mask) : units_(units), mask_(std::move(mask)) {}
    std::string describe() const override { return "stubborn"; }
    int64_t units(const PrunableTensor&) const override { return units_; }
    BitMask select(const PrunableTensor&, ScoreView, int64_t) const override { return mask_; }

   private:
    int64_t units_;
    BitMask mask_;
  };
  const PrunableTensor layer = conv_layer({2, 3}, "w");
  const std::vector<float> scores{1, 2, 3, 4, 5, 6};
  const PluginName name{.family = "pattern", .name = "mine", .where = "r.yaml:3"};
  const auto said = [&](int64_t units, const std::vector<uint8_t>& mask, int64_t keep) -> std::string {
    const Stubborn pattern(units, bits(mask));
    try {
      checked_units(pattern, name, layer);
      checked_mask(pattern, name, layer, scores, keep);
    } catch (const ConfigError& error) {
      return error.problem().what;
    }
    return "right";
  };
  CHECK(said(6, {1, 0, 1, 0, 1, 0}, 3) == "right");
  CHECK(said(6, {1, 1, 1, 1, 1, 1}, 3) == "the pattern \"mine\" keeps 6 weights of \"w\", where 3 of 6 weights were asked for");
  CHECK(said(6, {1, 1, 1}, 3) == "the pattern \"mine\" gives a mask of 3 elements for \"w\", which has 6");
  CHECK(said(2, {1, 1, 1, 0, 0, 0}, 1) == "right");  // two units of three
  CHECK(said(2, {1, 1, 1, 1, 1, 1}, 1) == "the pattern \"mine\" keeps 6 weights of \"w\", where 1 of 2 units were asked for");
  CHECK(said(2, {0, 0, 0, 0, 0, 0}, 1) == "the pattern \"mine\" keeps 0 weights of \"w\", where 1 of 2 units were asked for");
  CHECK(said(7, {1, 0, 1, 0, 1, 0}, 3) == "the pattern \"mine\" divides the 6 weights of \"w\" into 7 units");
  CHECK(checked_mask(*pattern_of("{block: [1, 3]}"), name, layer, scores, 1) == bits({0, 0, 0, 1, 1, 1}));
}
