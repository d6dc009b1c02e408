#include "pipeline/evidence_stage.h"

#include "base/error.h"
#include "data/fixtures.h"
#include "pipeline/calibration.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

ModelFile digits() { return ModelFile::load("configs/quickstart/digits.onnx"); }

Recipe recipe_with(const std::string& data) { return read_recipe(parse_yaml("data: " + data, "r.yaml"), ""); }

const std::string kTrain = "{format: npz, path: configs/quickstart/digits-train.npz, scale: 16}";
const std::string kEval = "{format: npz, path: configs/quickstart/digits-eval.npz, scale: 16}";

}  // namespace

TEST_CASE("rounds approach the sparsity at exponentially falling densities", "[pipeline][evidence]") {
  CHECK(1 - sparsity_of_round(0.9, 1, 100) == Approx(0.977237).epsilon(1e-6));
  CHECK(1 - sparsity_of_round(0.9, 10, 100) == Approx(0.794328).epsilon(1e-6));
  CHECK(1 - sparsity_of_round(0.9, 50, 100) == Approx(0.316228).epsilon(1e-6));
  CHECK(1 - sparsity_of_round(0.9, 99, 100) == Approx(0.102329).epsilon(1e-5));
  CHECK(sparsity_of_round(0.9, 100, 100) == 0.9);
}

TEST_CASE("calibration data is named, or a part of the training data, never the evaluation data", "[pipeline][calibration]") {
  const ModelFile file = digits();
  CHECK(open_calibration(file, recipe_with("{train: " + kTrain + "}"), "a test").size() == 1024);
  CHECK(open_calibration(file, recipe_with("{train: {format: npz, path: configs/quickstart/digits-train.npz, scale: 16, limit: 100}}"), "a test").size() == 100);
  CHECK(open_calibration(file, recipe_with("{train: " + kTrain + ", calibration: {from: train, samples: 7}}"), "a test").size() == 7);
  CHECK(open_calibration(file, recipe_with("{eval: " + kEval + ", calibration: {from: eval, samples: 5}}"), "a test").size() == 5);
  CHECK_THROWS_WITH(open_calibration(file, recipe_with("{eval: " + kEval + "}"), "a test"), Catch::Contains("must stay unseen"));
  CHECK_THROWS_WITH(open_calibration(file, recipe_with("{}"), "a test"), Catch::Contains("no data is given"));
}

TEST_CASE("wishes share a pass, and each gets the evidence of its own layers", "[pipeline][evidence]") {
  const ModelFile file = digits();
  const Recipe recipe = recipe_with("{calibration: {format: npz, path: configs/quickstart/digits-train.npz, scale: 16, limit: 40}}");
  std::vector<PrunableTensor> convolutions;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    if (tensor.kind == "weight" && tensor.op == "Conv") convolutions.push_back(tensor);
  }
  EvidenceStage together(file, recipe);
  const EvidenceWish loud{.layers = {convolutions[1], convolutions[2]}, .kinds = Evidence::InputSquares, .wanted_by = "a"};
  const EvidenceWish steep{.layers = {convolutions[3]}, .kinds = Evidence::GradientProducts | Evidence::BatchNormScale, .wanted_by = "b"};
  const auto all = together.collect({loud, EvidenceWish{}, steep});
  REQUIRE(all.size() == 3);
  CHECK(all[0].size() == 2);
  CHECK(all[1].empty());
  CHECK(all[0][0].input_squares.size() == 16 * 9);
  CHECK(all[0][0].product_squares.empty());
  CHECK(all[2][0].product_squares.size() == static_cast<size_t>(convolutions[3].count()));
  CHECK(all[2][0].input_squares.empty());
  CHECK(all[2][0].batch_norm_scale.size() == static_cast<size_t>(convolutions[3].output_channels()));
  CHECK(all[2][0].samples == 40);
  EvidenceStage alone(file, recipe);
  CHECK(alone.collect({steep})[0][0].product_squares == all[2][0].product_squares);
}
