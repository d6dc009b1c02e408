#include "pipeline/name_check.h"

#include "base/error.h"
#include "onnx/flat_graph.h"
#include "structure/structure.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

const ModelFile& digits() {
  static const auto* file = new ModelFile(ModelFile::load("configs/quickstart/digits.onnx"));
  return *file;
}

std::vector<std::string> warnings_of_rule(const std::string& rule) {
  return check_names(digits(), globs_of(read_recipe(parse_yaml("model: m.onnx\nprune:\n  - " + rule + "\n", "r.yaml"), "")));
}

Problem problem_of_rule(const std::string& rule) {
  try {
    warnings_of_rule(rule);
  } catch (const ConfigError& error) {
    return error.problem();
  }
  FAIL("a name that the model does not have was accepted: " + rule);
  return {};
}

}  // namespace

TEST_CASE("a misspelt name is refused with its place and the nearest name", "[pipeline][names]") {
  const std::vector<std::pair<std::string, std::string>> rules = {
      {"{sparsity: 0.5, select: {exclude: [block1.conv]}}", "prune.0.select.exclude"},
      {"{sparsity: 0.5, select: {include: ['down*', block1.conv]}}", "prune.0.select.include"},
      {"{sparsity: 0.5, density_limits: {block1.conv: [0, 1]}}", "prune.0.density_limits"},
      {"{sparsity: 0.5, pattern: channel, select: {exclude: block1.conv}}", "prune.0.select.exclude"}};
  for (const auto& [rule, path] : rules) {
    const Problem problem = problem_of_rule(rule);
    CHECK(problem.what == "the model has no node, weight or layer called \"block1.conv\"");
    CHECK(problem.where == "r.yaml:3 (" + path + ")");
    CHECK_THAT(problem.fix, Catch::Contains("did you mean \"block1.conv1\"?"));
  }
}

TEST_CASE("a glob with a wildcard that matches nothing is a warning each", "[pipeline][names]") {
  const std::vector<std::string> warnings =
      warnings_of_rule("{sparsity: 0.5, select: {include: ['block1*', 'nosuch*'], exclude: ['[x]tem']}, density_limits: {'nothing?': [0, 1]}}");
  REQUIRE(warnings.size() == 3);
  CHECK(warnings[0] == "\"nosuch*\" matches no node, weight or layer of the model: r.yaml:3 (prune.0.select.include)");
  CHECK_THAT(warnings[1], Catch::Contains("\"[x]tem\""));
  CHECK_THAT(warnings[2], Catch::Contains("prune.0.density_limits"));
}

TEST_CASE("biases, norms, layers left alone, nodes without weights and groups are names too", "[pipeline][names]") {
  CHECK(warnings_of_rule("{sparsity: 0.5}").empty());
  CHECK(warnings_of_rule("{sparsity: 0.5, select: {exclude: [classifier.bias, stem_norm.weight, stem, 'classifier*']}}").empty());
  const FlatGraph graph = flatten(digits().model());
  for (const FlatNode& node : graph.nodes) CHECK(warnings_of_rule("{sparsity: 0.5, select: {exclude: ['" + node.label + "']}}").empty());
  const Structure structure = Structure::analyse(digits());
  for (const Group& group : structure.groups()) {
    CHECK(warnings_of_rule("{sparsity: 0.5, pattern: channel, select: {include: ['" + group.name + "']}}").empty());
  }
}
