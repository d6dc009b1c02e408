#include "pipeline/train_classes.h"

#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("the training set takes its classes from the output that is learned", "[pipeline][train]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,2] x) => (float[N,3] y, float[N,1] z, float[N,4,512] t, float[N,K] open, float[N,21,H,W] map)"
      "<float[2,3] w = {1, 2, 3, 4, 5, 6}> { y = MatMul (x, w) z = Identity (x) t = Identity (x) open = Identity (x) map = Identity (x) }");
  const ModelFile file = text.load();
  const auto classes = [&](const std::string& train, const std::string& data = "{format: csv, path: a.csv}") {
    const Recipe recipe = read_recipe(parse_yaml("{data: {train: " + data + "}, train: " + train + "}", "r.yaml"), "");
    const auto sets = with_stated_classes(recipe, read_train_settings(recipe.train), file, "train");
    const Setting* found = sets.at("train").find("classes");
    return found == nullptr ? 0 : found->integer();
  };
  CHECK(classes("{epochs: 1}") == 3);
  CHECK(classes("{loss: cross_entropy, distill: {weight: 0.5}}") == 3);
  CHECK(classes("{loss: {name: cross_entropy, output: t}}") == 512);  // per position: either axis may be the classes
  CHECK(classes("{loss: {name: auto, output: z}}") == 0);
  CHECK(classes("{loss: {name: auto, output: open}}") == 0);
  CHECK(classes("{loss: {name: auto, output: map}}") == 0);
  CHECK(classes("{loss: mse}") == 0);
  CHECK(classes("{loss: distill}") == 0);
  CHECK(classes("{epochs: 1}", "{format: csv, path: a.csv, classes: 2}") == 2);
  // Likewise a set that validates, and that one alone.
  const Recipe held = read_recipe(parse_yaml("{data: {train: {format: csv, path: a.csv}, validation: {format: csv, path: b.csv}}, train: {epochs: 1}}", "r.yaml"), "");
  const auto sets = with_stated_classes(held, read_train_settings(held.train), file, "validation");
  CHECK(sets.at("validation").find("classes")->integer() == 3);
  CHECK(sets.at("train").find("classes") == nullptr);
}
