#include "pipeline/relu_share.h"

#include "base/module.h"
#include "pipeline/calibration.h"
#include "pipeline/trial.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Recipe digits() {
  return read_recipe(parse_yaml("model: configs/quickstart/digits.onnx\n"
                                "data: {train: {format: npz, path: configs/quickstart/digits-train.npz, scale: 16}}\n",
                                "test"),
                     "");
}

/// One layer of the digits network, 90 % of it to go.
CorrectionTask task_for(const ModelFile& file, const DataSource& calibration, const std::string& solver) {
  CorrectionTask task{.calibration = &calibration, .threads = 1};
  for (PrunableTensor& tensor : find_tensors(file)) {
    if (tensor.initializer != "block1.conv1.weight" && tensor.initializer != "block2.conv1.weight") continue;
    LayerTask layer{.pattern = Setting("unstructured"), .solver = parse_yaml(solver, "test"), .solver_path = "prune.0.solver"};
    layer.keep = tensor.count() / 10;
    const HostTensor weights = file.tensor_data(tensor.id).copy();
    layer.mask = make_pattern(layer.pattern, "pattern")->select(tensor, ScoreView::magnitudes(weights.bytes()), layer.keep);
    layer.tensor = std::move(tensor);
    task.layers.push_back(std::move(layer));
  }
  REQUIRE(task.layers.size() == 2);
  return task;
}

}  // namespace

TEST_CASE("the share of the error in front of Relu is the one that leaves the outputs nearer to the dense ones", "[pipeline][solver][relu]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  Recipe recipe = digits();
  recipe.data["train"].set("limit", Setting(200));  // all of them are tried on, so that what is measured here is what was tried
  const DataSource calibration = open_calibration(file, recipe, "a test");
  CorrectionTask task = task_for(file, calibration, "{name: gradual, steps: 3}");

  const std::string note = choose_relu_share_(task, file, recipe, calibration);

  const double chosen = task.layers[0].solver.find("relu")->number();
  CHECK(task.layers[1].solver.find("relu")->number() == chosen);
  CHECK(task.layers[0].solver.find("steps")->integer() == 3);
  CHECK_THAT(note, Catch::Contains("relu: ") && Catch::Contains("the divergence") && Catch::Contains("200 samples each, judged by 200"));
  Trial trial(file, calibration, {.metric = "", .session = {.threads = 1}});
  const auto divergence = [&](const std::string& share) {
    const Correction correction = Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, task_for(file, calibration, "{name: gradual, steps: 3, relu: " + share + "}"));
    return *trial.measure_with(correction.tensors).divergence;
  };
  CHECK(divergence(chosen == 1 ? "1.0" : "0.5") < divergence(chosen == 1 ? "0.5" : "1.0"));
}

TEST_CASE("many calibration samples are not all tried on", "[pipeline][solver][relu]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  const Recipe recipe = digits();
  const DataSource calibration = open_calibration(file, recipe, "a test");
  REQUIRE(calibration.size() > kShareJudges);
  CorrectionTask task = task_for(file, calibration, "{name: gradual, steps: 1}");
  CHECK_THAT(choose_relu_share_(task, file, recipe, calibration), Catch::Contains("256 samples each"));
  CHECK(task.calibration == &calibration);
}

TEST_CASE("a share that was named, another solver and a network without Relu leave nothing to choose", "[pipeline][solver][relu]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  CHECK(leaves_relu_open(file, Setting("gradual")));
  CHECK_FALSE(leaves_relu_open(file, parse_yaml("{name: gradual, relu: true}", "test")));
  CHECK_FALSE(leaves_relu_open(file, parse_yaml("{name: gradual, relu: 0.25}", "test")));
  CHECK_FALSE(leaves_relu_open(file, Setting("least_squares")));
  const TextModel smooth("<ir_version: 8, opset_import: [\"\": 17]> g (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 2, 3, 4}> { h = MatMul (x, w) y = Tanh (h) }");
  CHECK_FALSE(leaves_relu_open(smooth.load(), Setting("gradual")));
}
