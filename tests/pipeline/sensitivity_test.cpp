#include "pipeline/sensitivity.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "mask/prunable.h"
#include "pipeline/cut_stage.h"
#include "pipeline/evaluate.h"
#include "pipeline/trial.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Recipe digits(const std::string& more = "") {
  return read_recipe(parse_yaml("model: configs/quickstart/digits.onnx\n"
                                "data: {eval: {format: npz, path: configs/quickstart/digits-eval.npz, scale: 16, limit: 64}}\n"
                                "prune: {select: {first_last: true}}\n" + more,
                                "test"),
                     "");
}

SensitivityRequest request(Recipe recipe) {
  SensitivityRequest one;
  one.recipe = std::move(recipe);
  one.sparsities = {0.5, 0.9};
  one.patterns = {Setting("unstructured"), Setting("2:4")};
  return one;
}

}  // namespace

TEST_CASE("a trial measures what evaluating the pruned file measures, and restores the model", "[pipeline][sensitivity]") {
  ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  const DataSource data("eval", digits().data, file.model().graph.inputs, 0);
  Trial trial(file, data, {});
  const auto tensors = find_tensors(file);
  const auto conv = std::find_if(tensors.begin(), tensors.end(), [](const auto& tensor) { return tensor.initializer == "block1.conv1.weight"; });
  REQUIRE(conv != tensors.end());
  BitMask mask(conv->count(), /*kept=*/false);
  for (int64_t i = 0; i < conv->count(); i += 3) mask.keep(i);

  const Damage damage = trial.measure({{conv->id, mask}});
  CHECK(trial.measure({}).relative_error == 0);
  CHECK(trial.measure({}).metric == trial.dense().metric);

  const MetricResult dense = evaluate(file, data, {});
  file.mask_tensor_(conv->id, mask);
  const std::string path = (std::filesystem::temp_directory_path() / ("sparsify-trial-" + std::to_string(::getpid()) + ".onnx")).string();
  const auto writer = file.write(path);
  const ModelFile written = writer->reopen();
  const MetricResult pruned = evaluate(written, data, {});
  const MetricResult loss = evaluate(written, data, {.metric = "loss"});
  CHECK(*trial.dense().metric == *dense.after);
  CHECK(*damage.metric == *pruned.after);
  CHECK(*damage.loss == Approx(*loss.after));
  CHECK(*damage.metric != *dense.after);
  CHECK(*damage.divergence > 0);
}

TEST_CASE("sensitivity measures each layer alone at exact counts", "[pipeline][sensitivity]") {
  const SensitivityReport report = measure_sensitivity(request(digits()));

  REQUIRE(report.layers.size() == 9);
  CHECK(report.layers.front().first);
  CHECK(report.layers.back().last);
  CHECK(report.samples == 64);
  CHECK(report.metric_name == "top1");
  for (const SensitivityLayer& layer : report.layers) {
    INFO(layer.name);
    REQUIRE(layer.points.size() >= 2);
    CHECK(layer.points[0].kept == layer.weights - (layer.weights + 1) / 2);
    CHECK(layer.points[1].kept == layer.weights - std::llround(0.9 * static_cast<double>(layer.weights)));
    CHECK(*layer.points[1].divergence >= 0);
    CHECK(layer.points[1].relative_error > layer.points[0].relative_error);
  }
  // The stem has one input channel: no groups of four.
  CHECK(report.layers[0].points.size() == 2);
  REQUIRE(report.layers[0].refused.size() == 1);
  CHECK(report.layers[0].refused[0].first == "2:4");
  CHECK(report.layers[1].points[2].label() == "2:4");
  CHECK(report.layers[1].points[2].sparsity == 0.5);
  REQUIRE(report.verification.size() == 1);
  CHECK(report.verification[0].passed);
}

TEST_CASE("a pattern that chooses within channels is not measured with a criterion that scores channels", "[pipeline][sensitivity]") {
  SensitivityRequest one = request(digits());
  one.recipe.prune[0].criterion = Setting("apoz");
  one.patterns = {Setting("2:4"), Setting("per_row"), Setting("unstructured")};
  const SensitivityReport report = measure_sensitivity(one);
  REQUIRE_FALSE(report.layers.empty());
  for (const SensitivityLayer& layer : report.layers) {
    INFO(layer.name);
    for (const SensitivityPoint& point : layer.points) CHECK(point.pattern == "unstructured");
    const auto said = [&](const std::string& pattern) {
      return std::any_of(layer.refused.begin(), layer.refused.end(), [&](const auto& refused) {
        return refused.first == pattern && (refused.second == "the criterion gives all weights of an output channel one score, and the pattern " + pattern + " chooses among them" ||
                                            layer.first);  // whose shape takes no groups of four
      });
    };
    CHECK(said("2:4"));
    CHECK(said("per_row"));
  }
  one.patterns = {Setting("2:4")};
  CHECK_THROWS_WITH(measure_sensitivity(one), Catch::Contains("no selected tensor can take the patterns: "));
}

TEST_CASE("a group's row is what its cut measures", "[pipeline][sensitivity]") {
  const std::string criterion = GENERATE("magnitude", "reconstruction");
  INFO(criterion);
  SensitivityRequest one = request(digits());
  one.patterns = {Setting("channel")};
  one.recipe.prune[0].criterion = Setting(criterion);
  const SensitivityReport report = measure_sensitivity(one);
  REQUIRE(report.layers.size() >= 3);
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  const DataSource data("eval", digits().data, file.model().graph.inputs, 0);
  for (const SensitivityLayer& row : report.layers) {
    INFO(row.name);
    CHECK(row.op == "channel");
    REQUIRE(row.points.size() == 2);
    CHECK(row.points[0].kept == row.weights - std::llround(0.5 * static_cast<double>(row.weights)));
    CHECK(row.points[1].relative_error > row.points[0].relative_error);
  }
  const SensitivityLayer& row = report.layers.front();
  const Recipe recipe = read_recipe(parse_yaml("data: {calibration: {format: npz, path: configs/quickstart/digits-eval.npz, scale: 16, limit: 64}}\n"
                                               "prune: {criterion: " + criterion + ", select: {include: ['" + row.name + "']}, pattern: {channel: {scope: layer}}, sparsity: 0.5}", "test"), "");
  ModelFile dense = ModelFile::load("configs/quickstart/digits.onnx");
  const CutPlan plan = plan_cut(dense, recipe);
  const std::string path = (std::filesystem::temp_directory_path() / ("sparsify-sensitivity-" + std::to_string(::getpid()) + ".onnx")).string();
  const CutOutput output = write_cut(dense, plan, {}, path, true);
  const ModelFile cut = output.writer->reopen();
  const Damage after = Trial(cut, data, {}).dense();
  CHECK(*row.points[0].metric == Approx(*after.metric));
  CHECK(*row.points[0].loss == Approx(*after.loss).epsilon(1e-5));
  CHECK(*row.points[0].metric != *report.dense_metric);
}

TEST_CASE("the same run gives the same figures", "[pipeline][sensitivity]") {
  SensitivityRequest one = request(digits("seed: 3\n"));
  one.samples = 40;
  one.recipe.prune[0].criterion = Setting("random");
  one.recipe.prune[0].select.include = {"*conv1*"};
  auto first = to_json(measure_sensitivity(one));
  auto second = to_json(measure_sensitivity(one));
  CHECK(first["layers"] == second["layers"]);
  CHECK(first["samples"] == 40);
  CHECK(first["layers"].size() == 3);
}

TEST_CASE("without labels the divergence and the relative error remain", "[pipeline][sensitivity]") {
  Recipe recipe = digits();
  recipe.data["eval"] = parse_yaml("{format: random, limit: 32}", "test");
  const SensitivityReport report = measure_sensitivity(request(recipe));
  CHECK(report.metric_name.empty());
  CHECK_FALSE(report.dense_metric);
  CHECK(shown_measure(report) == SensitivityMeasure::Divergence);
  for (const SensitivityLayer& layer : report.layers) {
    CHECK_FALSE(layer.points[0].metric);
    CHECK_FALSE(layer.points[0].loss);
    CHECK(layer.points[0].divergence);
  }
}

TEST_CASE("what cannot be measured is refused before any work", "[pipeline][sensitivity]") {
  SensitivityRequest bad = request(digits());
  bad.sparsities = {0.5, 1.0};
  CHECK_THROWS_AS(measure_sensitivity(bad), ConfigError);
  bad = request(digits());
  bad.sparsities.clear();
  CHECK_THROWS_WITH(measure_sensitivity(bad), Catch::Contains("no sparsity is given for the pattern unstructured"));
  bad = request(digits());
  bad.recipe.data.clear();
  CHECK_THROWS_WITH(measure_sensitivity(bad), Catch::Contains("no data set \"eval\""));
  bad = request(digits());
  bad.patterns = {Setting("layer")};
  CHECK_THROWS_WITH(measure_sensitivity(bad), Catch::Contains("removes blocks whole"));
  bad.patterns = {Setting("channel"), Setting("unstructured")};
  bad.recipe.prune[0].criterion = Setting("reconstruction");
  CHECK_THROWS_WITH(measure_sensitivity(bad), Catch::Contains("reconstruction scores channels, and the pattern unstructured takes single weights"));
  bad.recipe.prune[0].criterion = Setting("magnitude");
  bad.patterns = {Setting("5:4")};
  CHECK_THROWS_AS(measure_sensitivity(bad), ConfigError);
  bad = request(digits());
  bad.recipe.prune[0].select.include = {"nothing"};
  CHECK_THROWS_AS(measure_sensitivity(bad), ConfigError);
}
