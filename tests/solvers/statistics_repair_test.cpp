#include "support/catch.h"

#include <fmt/core.h>

#include <cmath>

#include "program/model_text.h"
#include "program/program.h"
#include "solvers/correction.h"

using namespace sparsify;

namespace {

std::string doubles(const std::string& name, const std::string& shape, const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ", ") + fmt::format("{:.17g}", value);
  return "double[" + shape + "] " + name + " = {" + text + "}";
}

std::vector<double> waves(int64_t count, double phase, double shift = 0) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(std::sin(phase + 1.3 * static_cast<double>(i)) + shift);
  return values;
}

constexpr int64_t kOutputs = 5;
constexpr int64_t kColumns = 27;

struct Network {
  TextModel text;
  ModelFile file;
  DataSource data;

  explicit Network(const std::string& graph)
      : text("<ir_version: 8, opset_import: [\"\": 17]> g (double[N,3,6,6] x) => (double[N,5,6,6] y) " + graph),
        file(text.load()),
        data("calibration", {{"calibration", parse_yaml("{format: random, limit: 24, batch_size: 10}", "test")}}, file.model().graph.inputs, 3) {}

  Correction repair(const BitMask& mask) const {
    CorrectionTask task{.calibration = &data, .threads = 1, .repair_statistics = true};
    for (const PrunableTensor& tensor : find_tensors(file)) {
      if (tensor.initializer == "w") task.layers.push_back({.tensor = tensor, .pattern = Setting("unstructured"), .mask = mask});
    }
    return Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, task);
  }

  std::vector<double> numbers(const Correction& correction, const std::string& name) const {
    for (const auto& [id, values] : correction.tensors) {
      if (file.tensor(id).name == name) return {values.data<double>(), values.data<double>() + values.count()};
    }
    return {};
  }

  std::vector<at::Tensor> outputs(const Correction& correction) const {
    const auto program = Program::build(file);
    for (const auto& [id, values] : correction.tensors) {
      for (Parameter& parameter : program->parameters()) {
        if (parameter.tensor_id == id) parameter.tensor.copy_(from_host(values).tensor());
      }
    }
    std::vector<at::Tensor> all;
    const auto stream = data.stream({});
    while (const auto batch = stream->next()) all.push_back(program->run({from_host(batch->inputs.front())}).outputs[0].tensor());
    return all;
  }
};

Network normalised(const std::vector<double>& mean, const std::vector<double>& variance) {
  return Network("<" + doubles("w", "5,3,3,3", waves(kOutputs * kColumns, .2)) + ", " + doubles("gamma", "5", waves(5, .4, 1.5)) + ", " +
                 doubles("beta", "5", waves(5, .9)) + ", " + doubles("mean", "5", mean) + ", " + doubles("variance", "5", variance) +
                 "> { c = Conv <pads = [1, 1, 1, 1]> (x, w) n = BatchNormalization <epsilon = 0.0> (c, gamma, beta, mean, variance) y = Relu (n) }");
}

Network folded(const std::vector<double>& mean, const std::vector<double>& variance) {
  std::vector<double> weights = waves(kOutputs * kColumns, .2);
  const std::vector<double> gamma = waves(5, .4, 1.5);
  std::vector<double> bias = waves(5, .9);
  for (size_t o = 0; o < 5; ++o) {
    const double factor = gamma[o] / std::sqrt(variance[o]);
    for (size_t i = 0; i < 27; ++i) weights[o * 27 + i] *= factor;
    bias[o] -= mean[o] * factor;
  }
  return Network("<" + doubles("w", "5,3,3,3", weights) + ", " + doubles("bias", "5", bias) +
                 "> { c = Conv <pads = [1, 1, 1, 1]> (x, w, bias) y = Relu (c) }");
}

BitMask half() {
  BitMask mask(kOutputs * kColumns);
  for (int64_t i = 0; i < mask.size(); ++i) {
    if (std::sin(.2 + 1.3 * static_cast<double>(i)) < 0) mask.prune(i);
  }
  return mask;
}

}  // namespace

TEST_CASE("Matching mean and variance of a folded layer equals re-estimating BatchNormalization", "[solvers][gold]") {  // E37
  const Network start = normalised(waves(5, 0), std::vector<double>(5, 1));
  const Correction measured = start.repair(BitMask(kOutputs * kColumns));  // nothing pruned: the dense network's own statistics
  const std::vector<double> mean = start.numbers(measured, "mean");
  const std::vector<double> variance = start.numbers(measured, "variance");
  REQUIRE(mean.size() == 5);
  const Network with_norm = normalised(mean, variance);
  const Network without = folded(mean, variance);
  const Correction reestimated = with_norm.repair(half());
  const Correction matched = without.repair(half());
  const auto expected = with_norm.outputs(reestimated);
  const auto actual = without.outputs(matched);
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) largest = std::max(largest, (expected[i] - actual[i]).abs().max().item<double>());
  REQUIRE(largest < 1e-12);
  REQUIRE(expected[0].abs().max().item<double>() > 1);
  // The repair did something, and no zero became anything else.
  const auto masked_only = with_norm.outputs(measured);
  REQUIRE((masked_only[0] - expected[0]).abs().max().item<double>() > 1e-2);
  const std::vector<double> weights = without.numbers(matched, "w");
  const BitMask mask = half();
  for (int64_t i = 0; i < mask.size(); ++i) {
    const auto bits = __builtin_bit_cast(uint64_t, weights[static_cast<size_t>(i)]);
    REQUIRE((mask[i] ? bits != 0 : bits == 0));
  }
}

TEST_CASE("A dense network is left as it is by matching statistics", "[solvers][repair]") {
  const Network dense = folded(waves(5, .1), std::vector<double>(5, 2));
  const Correction nothing = dense.repair(BitMask(kOutputs * kColumns));
  const auto before = dense.outputs({});
  const auto after = dense.outputs(nothing);
  REQUIRE((before[0] - after[0]).abs().max().item<double>() < 1e-12);
}

TEST_CASE("A layer without bias and BatchNormalization is named and left alone", "[solvers][repair]") {
  const Network bare("<" + doubles("w", "5,3,3,3", waves(kOutputs * kColumns, .2)) + "> { y = Conv <pads = [1, 1, 1, 1]> (x, w) }");
  const Correction done = bare.repair(half());
  REQUIRE(done.warnings.size() == 1);
  REQUIRE_THAT(done.warnings[0], Catch::Contains("neither a bias nor BatchNormalization"));
}
