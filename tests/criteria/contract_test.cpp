#include <cmath>
#include <random>

#include "base/error.h"
#include "criteria/criterion.h"
#include "support/catch.h"
#include "support/layers.h"
#include "support/plugins.h"

using namespace sparsify;

namespace {

std::vector<float> scores_of(const Criterion& criterion, const PrunableTensor& layer, const std::vector<float>& weights) {
  std::vector<float> scores(weights.size(), std::nanf(""));
  criterion.score(layer, weights, LayerEvidence{.seed = 7}, scores);
  return scores;
}

}  // namespace

TEST_CASE("every criterion registers itself once", "[criteria][contract]") {
  CHECK(Registry<Criterion>::instance().names().size() == plugin_files("criteria"));
}

TEST_CASE("every criterion gives one finite score a weight, also at the ends of float32", "[criteria][contract]") {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> weights(216);
  for (float& weight : weights) weight = normal(random);
  const std::vector<float> extreme = {0.0f, -0.0f, 1e-45f, -1e-45f, 3.4e38f, -3.4e38f, 1e30f, 1.0f};
  for (const std::string& name : Registry<Criterion>::instance().names()) {
    INFO(name);
    const auto criterion = Registry<Criterion>::instance().make(name, Options{});
    if (criterion->needs() != Evidence::None) continue;
    for (const auto& values : {weights, extreme, std::vector<float>(8, 0.0f)}) {
      const auto scores = scores_of(*criterion, conv_layer({static_cast<int64_t>(values.size())}), values);
      CHECK(std::all_of(scores.begin(), scores.end(), [](float score) { return std::isfinite(score); }));
      CHECK(scores == scores_of(*criterion, conv_layer({static_cast<int64_t>(values.size())}), values));
    }
    CHECK_FALSE(Registry<Criterion>::instance().description(name).empty());
  }
}

TEST_CASE("weights are scored where they lie when the criterion is their magnitude", "[criteria][contract]") {
  const auto criterion = Registry<Criterion>::instance().make("magnitude", Options{});
  const PrunableTensor layer = conv_layer({4});
  const HostTensor weights = HostTensor::of<float>(DType::Float32, {4}, {1, -2, 0, -0.5f});
  std::vector<float> buffer;
  const ScoreView scores = score_layer(*criterion, layer, weights, {}, buffer);
  CHECK(scores.bytes() == weights.bytes().data());
  CHECK(buffer.empty());
  CHECK(scores[1] == 2);
  CHECK(scores[3] == 0.5f);
}

TEST_CASE("half precision weights are scored as the numbers they are", "[criteria][contract]") {
  const PrunableTensor layer = conv_layer({3});
  const HostTensor halves = HostTensor::of<uint16_t>(DType::Float16, {3}, {0x3c00, 0xc000, 0x3800});  // 1, -2, 0.5
  for (const char* norm : {"l1", "l2"}) {
    const auto criterion = Registry<Criterion>::instance().make("magnitude", Options(parse_yaml(std::string("norm: ") + norm, "")));
    std::vector<float> buffer;
    const ScoreView scores = score_layer(*criterion, layer, halves, {}, buffer);
    const float expected = std::string(norm) == "l1" ? 2 : 4;
    CHECK(scores[0] == 1);
    CHECK(scores[1] == expected);
  }
}

TEST_CASE("a weight that is not finite is named before anything is scored", "[criteria][contract]") {
  const PrunableTensor layer = conv_layer({2}, "fc.weight");
  CHECK_THROWS_WITH(require_finite(layer, HostTensor::of<float>(DType::Float32, {2}, {1, std::nanf("")})),
                    Catch::Contains("element 1 of \"fc.weight\" is nan"));
  CHECK_THROWS_WITH(require_finite(layer, HostTensor::of<uint16_t>(DType::Float16, {2}, {0xfc00, 0})),
                    Catch::Contains("element 0 of \"fc.weight\" is -inf"));
  require_finite(layer, HostTensor::of<double>(DType::Float64, {2}, {1.5, -3}));
}
