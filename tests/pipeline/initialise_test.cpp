#include "pipeline/initialise_stage.h"

#include "base/error.h"
#include "config/initialise.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

/// A convolution with bias, BatchNormalization, LayerNormalization, a constant of a formula, and a weight that is used twice.
constexpr const char* kModel =
    "<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,2,2,2] x) => (float[1,2,2,2] y)"
    "<float[2,2,1,1] w = {9, 9, 9, 9}, float[2] b = {9, 9}, float[2] gamma = {9, 9}, float[2] beta = {9, 9}, float[2] mean = {9, 9}, float[2] var = {9, 9},"
    " float[2] scale = {9, 9}, float[2] shift = {9, 9}, float[2,2] factor = {9, 9, 9, 9}>"
    "{ h = Conv (x, w, b) n = BatchNormalization (h, gamma, beta, mean, var) l = LayerNormalization (n, scale, shift) m = Mul (l, factor) y = Conv (m, w) }";

Recipe recipe_of(const std::string& yaml) { return read_recipe(parse_yaml(yaml, "recipe.yaml"), ""); }

std::map<std::string, std::vector<float>> fresh_values(const std::string& yaml, std::string* note = nullptr) {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const FreshWeights fresh = fresh_weights(file, recipe_of(yaml));
  if (note != nullptr) *note = fresh.note;
  std::map<std::string, std::vector<float>> values;
  for (const auto& [id, tensor] : fresh.tensors) values[file.tensor(id).name] = tensor.to_floats();
  return values;
}

}  // namespace

TEST_CASE("a fresh graph has drawn weights, zero biases, reset norms and its constants", "[pipeline][initialise]") {
  std::string note;
  const auto values = fresh_values("{initialise: {name: kaiming, seed: 4}}", &note);
  const std::vector<float> ones = {1, 1};
  const std::vector<float> zeros = {0, 0};
  CHECK(values.at("b") == zeros);
  CHECK(values.at("gamma") == ones);
  CHECK(values.at("beta") == zeros);
  CHECK(values.at("mean") == zeros);
  CHECK(values.at("var") == ones);
  CHECK(values.at("scale") == ones);
  CHECK(values.at("shift") == zeros);
  CHECK(values.at("w") != std::vector<float>(4, 9));
  CHECK_FALSE(values.contains("factor"));
  CHECK_THAT(note, Contains("1 tensors drawn, 1 biases 0, 6 tensors of normalisations reset; constants stay: factor"));
}

TEST_CASE("initialise takes the run's seed where it has none of its own, and reads back from the resolved recipe", "[pipeline][initialise]") {
  const auto own = fresh_values("{seed: 9, initialise: {name: xavier, seed: 4}}");
  CHECK(fresh_values("{seed: 4, initialise: xavier}") == own);
  CHECK(fresh_values("{seed: 5, initialise: xavier}") != own);
  const Recipe recipe = recipe_of("{initialise: {name: xavier, seed: 4}}");
  CHECK(fresh_values(to_yaml(resolved(recipe))) == own);
  CHECK(initialises(recipe));
  CHECK_FALSE(initialises(recipe_of("{seed: 1}")));
  CHECK_FALSE(initialises(recipe_of("{initialise: null}")));
}

TEST_CASE("normalisations in small operators are reset as well", "[pipeline][initialise]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,2] x) => (float[N,2] y)"
      "<float[2,2] w = {9, 9, 9, 9}, float[2] scale = {9, 9}, float[1,2] shift = {9, 9}, float[2] layer = {9, 9}, float epsilon = {0.001}>"
      "{ s = Mul (x, x) m = ReduceMean <axes = [-1]> (s) e = Add (m, epsilon) r = Sqrt (e) d = Div (x, r) k = Mul (d, scale) b = Add (k, shift) l = Mul (b, layer) y = MatMul (l, w) }");
  const ModelFile file = text.load();
  const FreshWeights fresh = fresh_weights(file, recipe_of("{initialise: kaiming}"));
  std::map<std::string, std::vector<float>> values;
  for (const auto& [id, tensor] : fresh.tensors) values[file.tensor(id).name] = tensor.to_floats();
  CHECK(values.at("scale") == std::vector<float>{1, 1});
  CHECK(values.at("shift") == std::vector<float>{0, 0});
  CHECK(values.size() == 3);
  CHECK_THAT(fresh.note, Contains("2 tensors of normalisations reset; constants stay: layer"));
}
