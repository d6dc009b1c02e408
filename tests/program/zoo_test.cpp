#include <fmt/core.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "onnx/model_file.h"
#include "program/cases.h"
#include "program/program.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

/// Bounds of networks with fewer bits than float32, by name; the others keep the tight one.
std::map<std::string, double> reduced_precision(const std::filesystem::path& manifest) {
  std::ifstream in(manifest);
  std::map<std::string, double> bounds;
  const nlohmann::json zoo = nlohmann::json::parse(in);
  for (const auto& entry : zoo.at("models")) {
    const double bound = entry.at("rel_tolerance").get<double>();
    if (bound >= 0.01) bounds.emplace(entry.at("name").get<std::string>(), bound);
  }
  return bounds;
}

void check_all(const std::filesystem::path& root, const std::map<std::string, double>& bounds, size_t expected) {
  const std::vector<RecordedCase> cases = find_cases(root);
  CHECK(cases.size() == expected);
  double worst = 0;
  for (const RecordedCase& recorded : cases) {
    const auto bound = bounds.find(recorded.name);
    const double relative = bound == bounds.end() ? 1e-4 : bound->second;
    const std::string problem =
        run_case(recorded, {.relative_to_element = 0, .relative_to_largest = relative, .absolute = 1e-5});
    INFO(recorded.name << ": " << problem);
    CHECK(problem.empty());
    if (bound == bounds.end()) worst = std::max(worst, last_relative_difference());
  }
  fmt::print("{}: {} networks, float32 differences at most {:.2g} of the largest value\n", root.filename().string(),
             cases.size(), worst);
}

}  // namespace

TEST_CASE("every graph of the zoo gives the outputs that ONNX Runtime gave", "[program][zoo]") {
  const auto root = shared_or_skip("zoo", "outputs of the zoo");
  if (root.empty()) return;
  check_all(root, reduced_precision(root / "zoo.json"), 62);
}

TEST_CASE("the trained networks give the outputs that ONNX Runtime gave", "[program][zoo]") {
  const auto root = shared_or_skip("models", "outputs of the trained networks");
  if (root.empty()) return;
  check_all(root, {}, 6);
}

TEST_CASE("a network with operators of another runtime is refused by node, operator, domain and opset", "[program][zoo]") {
  const auto path = shared_or_skip("models/superres-prepost.onnx", "refusal of foreign operators");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  try {
    Program::build(file);
    FAIL("the network was accepted");
  } catch (const ResourceError& e) {
    CHECK(e.exit_code() == 3);
    CHECK_THAT(e.problem().what, Catch::Contains("of domain \"") && Catch::Contains("(opset "));
    CHECK_THAT(e.problem().where, Catch::Contains("node \""));
    CHECK_FALSE(e.problem().fix.empty());
  }
}
