#include "pipeline/cut_repair.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "pipeline/cut_stage.h"
#include "pipeline/reconstruction_scores.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

/// y = 3 (1 x) + 1 (2 x) = 5 x. Of the two hidden units the second has the smaller norm: 2^2 + 1^2 against 1^2 + 3^2.
const std::string kTwoUnits =
    "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,1] x) => (float[N,1] y) <float[1,2] w1 = {1, 2}, float[2,1] w2 = {3, 1}>"
    "{ h = MatMul (x, w1) y = MatMul (h, w2) }";

Recipe recipe_of(const std::string& rule, const std::string& more = "data: {calibration: {format: random, limit: 24, batch_size: 10}}") {
  return read_recipe(parse_yaml("prune: [" + rule + "]\n" + more, "recipe.yaml"), "");
}

/// In a folder of evidence that is gone afterwards.
Correction repaired(const TextModel& text, const ModelFile& file, const Recipe& recipe, const Decisions& decisions) {
  const std::string folder = text.path() + ".evidence";
  Correction correction = repair_cut(file, recipe, folder, /*resume=*/false, decisions);
  std::filesystem::remove_all(folder);
  return correction;
}

std::vector<float> numbers(const ModelFile& file, const Correction& correction, const std::string& name) {
  for (const auto& [id, values] : correction.tensors) {
    if (file.tensor(id).name == name) return values.to_floats();
  }
  return {};
}

}  // namespace

TEST_CASE("What reads a removed unit is solved again on the others", "[pipeline][repair]") {
  const TextModel text(kTwoUnits);
  ModelFile file = text.load();
  const Recipe exact = recipe_of("{pattern: channel, sparsity: 0.5, solver: {name: least_squares, damping: 0}}");
  const Decisions decisions = decide_cut(file, exact, {});
  const Correction correction = repaired(text, file, exact, decisions);
  const std::vector<float> solved = numbers(file, correction, "w2");
  REQUIRE(solved.size() == 2);
  CHECK(solved[0] == Approx(5).epsilon(1e-5));
  CHECK(solved[1] == 0);

  const CutOutput output = write_cut(file, *decisions.cut, correction.tensors, text.path() + ".cut.onnx", true);
  const ModelFile written = output.writer->reopen();
  for (const VerificationResult& check : verify_cut(*output.masked, written, *decisions.cut, {})) {
    INFO(check.check << ": " << check.detail);
    CHECK(check.passed);
  }
  for (const StoredTensor& tensor : written.model().graph.initializers) {
    if (tensor.name != "w2") continue;
    CHECK(tensor.shape == Shape{1, 1});
    CHECK(written.tensor_data(tensor.id).to_floats().front() == solved[0]);
  }
}

// The default damping pulls towards the dense weight 3 by about 0.005 of the way: (5 + 0.005 * 3) / 1.005 = 4.990.
TEST_CASE("A cut with calibration data is repaired unless the recipe says otherwise", "[pipeline][repair]") {
  const TextModel text(kTwoUnits);
  const ModelFile file = text.load();
  const std::string rule = "{pattern: channel, sparsity: 0.5}";
  const Recipe recipe = recipe_of(rule);
  REQUIRE(wants_cut_repair(recipe));
  const Correction correction = repaired(text, file, recipe, decide_cut(file, recipe, {}));
  REQUIRE(numbers(file, correction, "w2").size() == 2);
  CHECK(numbers(file, correction, "w2")[0] == Approx(4.990).margin(0.002));
  CHECK_FALSE(wants_cut_repair(recipe_of(rule, "repair: none\ndata: {calibration: {format: random, limit: 8}}")));
  CHECK_FALSE(wants_cut_repair(recipe_of(rule, "seed: 1")));
  CHECK(wants_cut_repair(recipe_of(rule, "repair: least_squares")));
  CHECK(wants_cut_repair(recipe_of(rule, "repair: statistics")));
}

TEST_CASE("A solver that chooses weights itself cannot repair a cut", "[pipeline][repair]") {
  const TextModel text(kTwoUnits);
  const ModelFile file = text.load();
  CHECK_THROWS_WITH(decide_cut(file, recipe_of("{pattern: channel, sparsity: 0.5, solver: gradual}"), {}), Contains("chooses single weights"));
}

TEST_CASE("Slopes of the convex hull never fall and add up to the error", "[pipeline][reconstruction]") {
  const std::vector<double> slopes = convex_slopes({1, 1.5, 5}, {1, 1, 1});
  REQUIRE(slopes.size() == 3);
  CHECK(slopes[0] == Approx(0.75));
  CHECK(slopes[1] == Approx(0.75));
  CHECK(slopes[2] == Approx(3.5));
  CHECK(convex_slopes({1, 2}, {1, 4})[1] == Approx(0.4));  // 2 for 5 in all
  CHECK(convex_slopes({}, {}).empty());
}

// Hidden units x1, x2 and x1 again: without either copy nothing is lost, without x2 everything of it is.
TEST_CASE("The criterion reconstruction removes what others can replace", "[pipeline][reconstruction]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,2] x) => (float[N,1] y) <float[2,3] w1 = {1, 0, 1, 0, 1, 0}, float[3,1] w2 = {2, 0.5, 2}>"
      "{ h = MatMul (x, w1) y = MatMul (h, w2) }");
  const ModelFile file = text.load();
  const auto removed = [&](const std::string& criterion) {
    const Decisions decisions = decide_cut(file, recipe_of("{pattern: channel, sparsity: 0.34, criterion: " + criterion + "}"), {});
    const std::vector<KeptUnits> kept = kept_units(*decisions.cut);
    REQUIRE(kept.size() == 1);
    return kept.front().kept;
  };
  CHECK(removed("magnitude") == std::vector<int64_t>{0, 2});
  const std::vector<int64_t> kept = removed("reconstruction");
  REQUIRE(kept.size() == 2);
  CHECK(std::find(kept.begin(), kept.end(), 1) != kept.end());
}
