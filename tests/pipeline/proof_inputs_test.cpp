#include "pipeline/proof_inputs.h"

#include <algorithm>

#include "structure/sample.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::vector<VerificationResult> proven(const GraphSample& sample) {
  const TextModel text(text_of(sample));
  ModelFile file = text.load();
  const Recipe recipe = read_recipe(parse_yaml("{prune: [{pattern: channel, criterion: random, sparsity: 0.5, min_density: 0}]}", ""), "");
  const CutPlan plan = plan_cut(file, recipe);
  const CutOutput output = write_cut(file, plan, {}, text.path() + ".cut.onnx", true);
  return verify_cut(*output.masked, output.writer->reopen(), plan, {});
}

/// Messages along edges; the numbers of nodes and edges are open. Position 1 needs two nodes at least.
const GraphSample kGraphNetwork = {.inputs = "float[n,3] x, int64[2,m] e", .outputs = "float[n,2] y", .weights = {{"a", {3, 6}}, {"k", {3, 6}}, {"d", {6, 2}}},
                                   .nodes = "f = Gather <axis = 0> (e, one) h = MatMul (x, a) p = Gather <axis = 0> (h, f) o = MatMul (x, k) q = ReduceSum <keepdims = 1> (p, zero) "
                                            "u = Add (q, o) r = Relu (u) y = MatMul (r, d)",
                                   .constants = "int64 one = {1}, int64[1] zero = {0}"};

}  // namespace

TEST_CASE("a graph whose open sizes depend on each other is proven with sizes on which it runs", "[pipeline][cut][proof]") {
  const std::vector<VerificationResult> checks = proven(kGraphNetwork);
  const auto equal = std::find_if(checks.begin(), checks.end(), [](const VerificationResult& check) { return check.check == "outputs_equal"; });
  REQUIRE(equal != checks.end());
  CHECK(equal->passed);
}

TEST_CASE("a graph that runs on no drawn input is not proven, and the message says what would help", "[pipeline][cut][proof]") {
  const GraphSample never = {.inputs = "float[n,3] x", .outputs = "float[1,2] y", .weights = {{"a", {3, 6}}, {"d", {6, 2}}},
                             .nodes = "h = MatMul (x, a) p = Gather <axis = 0> (h, far) r = Relu (p) y = MatMul (r, d)", .constants = "int64[1] far = {77}"};
  try {
    proven(never);
    FAIL("it ran");
  } catch (const ResourceError& error) {
    CHECK(error.problem().what.find("does not run on drawn inputs") != std::string::npos);
    CHECK(error.problem().fix.find("--input") != std::string::npos);
  }
}
