#include "pipeline/cut_training.h"

#include <algorithm>

#include "pipeline/cut_plan.h"
#include "pipeline/cut_stage.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

/// Conv 1 -> 4 with bias, Relu, Conv 4 -> 1. Of the hidden channels, 2 is zero on both sides, 3 only where it is produced.
constexpr const char* kModel =
    "<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,1,2,2] x) => (float[1,1,2,2] y)"
    "<float[4,1,1,1] a = {4, 1, 0, 0}, float[4] b = {1, 2, 0, 0}, float[1,4,1,1] c = {3, 1, 0, 5}>"
    "{ h = Conv (x, a, b) r = Relu (h) y = Conv (r, c) }";

Recipe recipe_of(const std::string& rule) { return read_recipe(parse_yaml("prune: [" + rule + "]", "recipe.yaml"), ""); }

const Group& hidden(const Structure& structure) {
  return *std::find_if(structure.groups().begin(), structure.groups().end(), [](const Group& group) { return group.units == 4; });
}

std::vector<bool> kept(const std::map<int, BitMask>& masks, const ModelFile& file, const std::string& name) {
  for (const auto& [id, mask] : masks) {
    if (file.tensor(id).name != name) continue;
    std::vector<bool> bits;
    for (int64_t i = 0; i < mask.size(); ++i) bits.push_back(mask[i]);
    return bits;
  }
  return {};
}

}  // namespace

TEST_CASE("a unit is gone when all its slices are zero, on both sides", "[pipeline][cut_training]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const Structure structure = Structure::analyse(file);
  const Removed removed = zero_units(file, structure);
  CHECK(removed[static_cast<size_t>(hidden(structure).id)] == std::vector<bool>{false, false, true, false});
}

TEST_CASE("masks of the moment count what is gone towards the target, and hold weights and biases on both sides", "[pipeline][cut_training]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const Recipe recipe = recipe_of("{pattern: channel, sparsity: 0.5}");
  const auto at = [&](double share) { return unit_masks(file, recipe, [share](double target) { return share * target; }, {}); };
  const std::vector<bool> one_gone = {true, true, false, true};
  CHECK(kept(at(0), file, "a") == one_gone);  // what is gone does not come back
  CHECK(kept(at(0.5), file, "a") == one_gone);
  const std::vector<bool> two_gone = {true, false, false, true};  // channel 1 has the least magnitude: 1 + 1 beside 25
  for (const char* name : {"a", "b", "c"}) CHECK(kept(at(1), file, name) == two_gone);
}

TEST_CASE("the plan of final weights removes what they hold as zeros and nothing else", "[pipeline][cut_training]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const CutPlan plan = plan_zero_units(file, {.inputs = {}, .zeros = &file});
  REQUIRE(kept_units(plan).size() == 1);
  CHECK(kept_units(plan).front().kept == std::vector<int64_t>{0, 1, 3});
  for (const TensorCut& tensor : plan.cut.tensors) CHECK(plan.patterns.at(tensor.id) == "channel");
  const Decisions decisions = decisions_of_cut(file, plan);
  CHECK(decisions.decided.size() == 3);
}

TEST_CASE("a layer that is zero as a whole keeps a unit", "[pipeline][cut_training]") {
  std::string model = kModel;
  for (const char* values : {"{4, 1, 0, 0}", "{1, 2, 0, 0}", "{3, 1, 0, 5}"}) model.replace(model.find(values), 12, "{0, 0, 0, 0}");
  const TextModel text(model);
  const ModelFile file = text.load();
  const Structure structure = Structure::analyse(file);
  const Removed removed = zero_units(file, structure);
  CHECK_FALSE(structure.empties(removed));
}
