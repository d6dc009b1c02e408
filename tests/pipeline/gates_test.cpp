#include <fstream>

#include "base/error.h"
#include "base/fresh_folder.h"
#include "onnx/model_file.h"
#include "pipeline/gates.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

constexpr const char* kData = "data: {eval: {format: npz, path: configs/quickstart/digits-eval.npz, scale: 16}}\n";

Recipe recipe_of(const std::string& more) { return read_recipe(parse_yaml("model: configs/quickstart/digits.onnx\n" + more, "r.yaml"), ""); }

std::string refusal(const std::string& more) {
  try {
    require_judgeable(recipe_of(more));
    const Recipe recipe = recipe_of(more);
    require_labels(recipe, DataSource("eval", recipe.data, ModelFile::load(recipe.model).model().graph.inputs, 0));
  } catch (const ConfigError& error) {
    return error.problem().what;
  }
  return "judgeable";
}

std::vector<GateResult> judged(const std::string& gates, const MetricResult& metric) {
  RunReport report;
  report.metric = metric;
  return judge(recipe_of(gates), report);
}

}  // namespace

TEST_CASE("accuracy gates refuse metrics of which lower is better before any work", "[pipeline][gates]") {
  for (const std::string metric : {"loss", "perplexity", "mse"}) {
    for (const std::string gate : {"min_accuracy: 2", "max_accuracy_drop: 1"}) {
      const std::string name = gate.substr(0, gate.find(':'));
      CHECK(refusal(kData + ("metric: " + metric) + "\ngates: {" + gate + "}\n") ==
            "the gate " + name + " counts points of accuracy, and of the metric " + metric + " lower is better");
    }
    CHECK(refusal(kData + ("metric: " + metric) + "\ngates: {min_sparsity: 0.5}\n") == "judgeable");
  }
  for (const std::string metric : {"auto", "top1", "auc"}) CHECK(refusal(kData + ("metric: " + metric) + "\ngates: {min_accuracy: 2}\n") == "judgeable");
  // Without labels `auto` is mse.
  CHECK(refusal("data: {eval: {format: random, limit: 8}}\ngates: {max_accuracy_drop: 1}\n") ==
        "the gate max_accuracy_drop counts points of accuracy, and of the metric mse lower is better");
  // And with labels that are values, not classes.
  const Folder folder;
  std::ofstream table(folder / "values.csv");
  for (int i = 0; i < 64; ++i) table << "x" << i << ",";
  table << "label\n";
  for (int i = 0; i < 64; ++i) table << i << ",";
  table << "0.25\n";
  table.close();
  CHECK(refusal("data: {eval: {format: csv, path: " + (folder / "values.csv") + "}}\ngates: {max_accuracy_drop: 1}\n") ==
        "the gate max_accuracy_drop counts points of accuracy, and of the metric mse lower is better");
}

TEST_CASE("gates are in points of percentages and in hundredths of an area", "[pipeline][gates]") {
  const MetricResult percent{.name = "top1", .before = 97.5, .after = 96.25, .unit = "%"};
  CHECK(judged("gates: {max_accuracy_drop: 1.5, min_accuracy: 96}\n", percent)[0].actual == Approx(1.25));
  const MetricResult area{.name = "auc", .before = 0.99997, .after = 0.59};
  const std::vector<GateResult> fallen = judged("gates: {max_accuracy_drop: 1, min_accuracy: 60}\n", area);
  REQUIRE(fallen.size() == 2);
  CHECK(fallen[0].actual == Approx(40.997));
  CHECK_FALSE(fallen[0].passed);
  CHECK(fallen[1].actual == Approx(59));
  CHECK_FALSE(fallen[1].passed);
  for (const GateResult& gate : judged("gates: {max_accuracy_drop: 41, min_accuracy: 58.9}\n", area)) CHECK(gate.passed);
}
