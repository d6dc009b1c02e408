#include <cmath>
#include <random>

#include "base/error.h"
#include "criteria/criterion.h"
#include "support/catch.h"
#include "support/layers.h"
#include "support/plugins.h"

using namespace sparsify;

namespace {

std::vector<float> scores_of(const Criterion& criterion, const PrunableTensor& layer, const std::vector<float>& weights,
                             const LayerEvidence& evidence) {
  std::vector<float> scores(weights.size(), std::nanf(""));
  criterion.score(layer, weights, evidence, scores);
  return scores;
}

/// Positive numbers in the members that the kinds fill, and nowhere else.
LayerEvidence sample_evidence(Evidence kinds, const PrunableTensor& layer) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(0.1, 2);
  LayerEvidence evidence{.seed = 7};
  const auto fill = [&](Evidence kind, std::vector<double>& values, int64_t count) {
    if (!needs(kinds, kind)) return;
    for (int64_t i = 0; i < count; ++i) values.push_back(uniform(random));
  };
  const int64_t channels = layer.output_channels();
  fill(Evidence::InputSquares, evidence.input_squares, layer.count() / channels);
  fill(Evidence::Gradients, evidence.gradient, layer.count());
  fill(Evidence::GradientProducts, evidence.product_magnitudes, layer.count());
  fill(Evidence::GradientProducts, evidence.product_squares, layer.count());
  fill(Evidence::ChannelProducts, evidence.channel_squares, channels);
  fill(Evidence::Fisher, evidence.fisher, layer.count());
  fill(Evidence::InverseFisher, evidence.inverse_fisher, layer.count());
  fill(Evidence::GradientFlow, evidence.hessian_gradient, layer.count());
  fill(Evidence::HessianDiagonal, evidence.hessian_diagonal, layer.count());
  fill(Evidence::SynapticFlow, evidence.synaptic_flow, layer.count());
  fill(Evidence::Movement, evidence.movement, layer.count());
  fill(Evidence::Activations, evidence.mean_magnitude, channels);
  fill(Evidence::Activations, evidence.zero_fraction, channels);
  fill(Evidence::FeatureRank, evidence.feature_rank, channels);
  fill(Evidence::BatchNormScale, evidence.batch_norm_scale, channels);
  return evidence;
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
    for (const auto& values : {weights, extreme, std::vector<float>(8, 0.0f)}) {
      const PrunableTensor layer = conv_layer({2, static_cast<int64_t>(values.size()) / 2});
      const LayerEvidence evidence = sample_evidence(criterion->needs(), layer);
      const auto scores = scores_of(*criterion, layer, values, evidence);
      CHECK(std::all_of(scores.begin(), scores.end(), [](float score) { return std::isfinite(score); }));
      CHECK(scores == scores_of(*criterion, layer, values, evidence));
    }
    CHECK_FALSE(Registry<Criterion>::instance().description(name).empty());
  }
}

TEST_CASE("a criterion needs the evidence that it declares, and no other", "[criteria][contract]") {
  const PrunableTensor layer = conv_layer({3, 4, 2, 2});
  const std::vector<float> weights(48, 1.0f);
  for (const std::string& name : Registry<Criterion>::instance().names()) {
    INFO(name);
    const auto criterion = Registry<Criterion>::instance().make(name, Options{});
    scores_of(*criterion, layer, weights, sample_evidence(criterion->needs(), layer));  // throws for what is missing
    if (criterion->needs() != Evidence::None) CHECK_THROWS_AS(scores_of(*criterion, layer, weights, LayerEvidence{}), ShapeError);
  }
}

TEST_CASE("a score does not depend on how channels are numbered, nor on the stored layout", "[criteria][contract]") {
  constexpr int64_t kOutputs = 5;
  constexpr int64_t kInputs = 3;
  constexpr int64_t kKernel = 4;
  const std::vector<int64_t> outputs = {3, 0, 4, 1, 2};
  const std::vector<int64_t> inputs = {2, 0, 1};
  const PrunableTensor layer = conv_layer({kOutputs, kInputs, kKernel});
  PrunableTensor last = conv_layer({kKernel, kInputs, kOutputs});  // outputs last, as TensorFlow stores them
  last.output_axis = 2;
  const auto flat = [](int64_t o, int64_t i, int64_t k) { return static_cast<size_t>((o * kInputs + i) * kKernel + k); };
  const auto flat_last = [](int64_t o, int64_t i, int64_t k) { return static_cast<size_t>((k * kInputs + i) * kOutputs + o); };
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> weights(kOutputs * kInputs * kKernel);
  for (float& weight : weights) weight = normal(random);
  for (const std::string& name : Registry<Criterion>::instance().names()) {
    if (name == "random") continue;  // numbered by definition
    INFO(name);
    const auto criterion = Registry<Criterion>::instance().make(name, Options{});
    const LayerEvidence evidence = sample_evidence(criterion->needs(), layer);
    // moved: weight (o, i, k) of the new numbering is weight (outputs[o], inputs[i], k) of the old one
    const auto moved = [&](const auto& values, bool stored_last) {
      auto result = values;
      using Size = int64_t;
      const auto count = static_cast<Size>(values.size());
      if (count == kOutputs) {
        for (int64_t o = 0; o < kOutputs; ++o) result[static_cast<size_t>(o)] = values[static_cast<size_t>(outputs[static_cast<size_t>(o)])];
        return result;
      }
      for (int64_t i = 0; i < kInputs; ++i) {
        for (int64_t k = 0; k < kKernel; ++k) {
          const int64_t from_input = inputs[static_cast<size_t>(i)];
          if (count == kInputs * kKernel) {
            result[static_cast<size_t>(stored_last ? k * kInputs + i : i * kKernel + k)] = values[static_cast<size_t>(from_input * kKernel + k)];
            continue;
          }
          for (int64_t o = 0; o < kOutputs && count > 0; ++o) {
            result[stored_last ? flat_last(o, i, k) : flat(o, i, k)] = values[flat(outputs[static_cast<size_t>(o)], from_input, k)];
          }
        }
      }
      return result;
    };
    const std::vector<float> scores = scores_of(*criterion, layer, weights, evidence);
    for (const bool stored_last : {false, true}) {
      LayerEvidence renumbered = evidence;
      for (auto member : {&LayerEvidence::input_squares, &LayerEvidence::gradient, &LayerEvidence::product_magnitudes, &LayerEvidence::product_squares,
                          &LayerEvidence::channel_squares, &LayerEvidence::fisher, &LayerEvidence::inverse_fisher, &LayerEvidence::hessian_gradient,
                          &LayerEvidence::hessian_diagonal, &LayerEvidence::synaptic_flow, &LayerEvidence::movement, &LayerEvidence::mean_magnitude,
                          &LayerEvidence::zero_fraction, &LayerEvidence::feature_rank, &LayerEvidence::batch_norm_scale}) {
        renumbered.*member = moved(evidence.*member, stored_last);
      }
      const auto again = scores_of(*criterion, stored_last ? last : layer, moved(weights, stored_last), renumbered);
      const std::vector<float> wanted = moved(scores, stored_last);
      for (size_t i = 0; i < wanted.size(); ++i) CHECK(again[i] == Approx(wanted[i]).epsilon(1e-6));
    }
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
