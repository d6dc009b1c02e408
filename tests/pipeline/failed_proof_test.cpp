#include "pipeline/failed_proof.h"

#include "config/recipe.h"
#include "pipeline/cut.h"
#include "pipeline/proof_inputs.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

/// Two layers with the weights `a` and `b`.
std::string layers(const std::string& first, const std::string& second) {
  return "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,2] x) => (float[N,2] y) <float" + first + ", float" + second +
         "> { h = MatMul (x, a) r = Relu (h) y = MatMul (r, b) }";
}

RunReport cut_report(const std::vector<std::string>& groups, const std::string& detail) {
  RunReport report;
  for (const std::string& name : groups) report.groups.push_back({.name = name, .kind = "channel", .units = 4, .kept = 2});
  report.verification.push_back({.check = "reload", .passed = true, .detail = "the written file loads again"});
  report.verification.push_back({.check = "outputs_equal", .passed = false, .detail = detail});
  return report;
}

}  // namespace

TEST_CASE("a cut model that stops fails the proof, and what was cut where it stops is named", "[pipeline][cut][proof]") {
  const TextModel text(layers("[2,4] a = {1, 2, 3, 4, 5, 6, 7, 8}", "[4,2] b = {8, 7, 6, 5, 4, 3, 2, 1}"));
  const ModelFile file = text.load();
  const CutPlan plan = plan_cut(file, read_recipe(parse_yaml("prune: [{pattern: channel, sparsity: 0.5}]", ""), ""));
  REQUIRE(kept_units(plan).size() == 1);
  const std::string group = kept_units(plan).front().group;
  const TextModel other(layers("[2,3] a = {1, 2, 3, 4, 5, 6}", "[2,2] b = {1, 2, 3, 4}"));
  const ModelFile stops = other.load();  // three units where the next layer reads two
  const VerificationResult result = prove_equal(file, stops, random_inputs(file, *plan.structure, 0), 1e-6, {.plan = &plan});
  CHECK_FALSE(result.passed);
  CHECK(result.check == "outputs_equal");
  CHECK_THAT(result.detail, Contains("the masked model runs, the cut one does not") && Contains("MatMul") && Contains("removed there: \"" + group + "\""));

  ProofInputs drawn;
  const auto on_drawn = prove_on_drawn(file, stops, plan, {}, 1e-6, drawn);
  REQUIRE(on_drawn);
  CHECK_FALSE(on_drawn->passed);
  CHECK_THAT(on_drawn->detail, Contains("the cut one does not"));
  CHECK_THROWS_AS(prove_equal(stops, file, random_inputs(file, *plan.structure, 0), 1e-6, {}), ResourceError);  // the masked one: nothing is said of the cut
}

TEST_CASE("a failed proof is to be reported, and what to leave out until then is named", "[pipeline][cut][proof]") {
  const Problem named = problem_of_failure(cut_report({"a", "b", "c", "d"}, "does not run (at node \"n\"; removed there: \"c\")"), "out.sparsify");
  CHECK(named.what == "no model was written: verification outputs_equal failed");
  CHECK(named.where == "out.sparsify");
  CHECK_THAT(named.fix, Contains("a fault of the cut, not of the model or the recipe: please report it") && Contains("--exclude \"c\"") && !Contains("--exclude \"a\"") &&
                            !Contains("prune less"));
  CHECK_THAT(problem_of_failure(cut_report({"a", "b"}, "output \"y\", element 0"), "").fix, Contains("--exclude \"a\" --exclude \"b\""));
  CHECK_THAT(problem_of_failure(cut_report({"a", "b", "c", "d"}, "output \"y\", element 0"), "").fix, Contains("some of the 4 groups"));
  CHECK_THAT(problem_of_failure(cut_report({}, ""), "").fix, Contains("a fault of this program") && !Contains("--exclude"));
  RunReport gate;
  gate.gates.push_back({.name = "min_sparsity", .limit = 0.5, .actual = 0.25, .passed = false});
  const Problem missed = problem_of_failure(gate, "out.sparsify");
  CHECK(missed.what == "no model was written: gate min_sparsity failed");
  CHECK_THAT(missed.fix, Contains("change the gate") && !Contains("report it"));
}
