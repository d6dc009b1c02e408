// A hidden test for hunting: every model in the folder SPARSIFY_CUT_FOLDER is cut at random and proven.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "config/recipe.h"
#include "pipeline/cut_stage.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::string proven(const std::string& path, int seed) {
  ModelFile file = ModelFile::load(path);
  const Recipe recipe = read_recipe(parse_yaml(fmt::format("{{seed: {}, prune: [{{pattern: channel, criterion: random, sparsity: 0.5, min_density: 0}}]}}", seed), ""), "");
  CutPlan plan;
  try {
    plan = plan_cut(file, recipe);
  } catch (const ConfigError&) {
    return "held";
  }
  const CutOutput output = write_cut(file, plan, {}, path + ".cut", true);
  const ModelFile written = output.writer->reopen();
  for (const VerificationResult& check : verify_cut(*output.masked, written, plan, {.seed = static_cast<uint64_t>(seed)})) {
    if (!check.passed) return "FAILED " + check.check + ": " + check.detail;
  }
  return "proven";
}

}  // namespace

TEST_CASE("every model of a folder is cut at random, and masked model equals shrunk model", "[.folder]") {
  const char* folder = std::getenv("SPARSIFY_CUT_FOLDER");
  REQUIRE(folder != nullptr);
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::string verdict;
    try {
      verdict = proven(path, 1);
    } catch (const std::exception& error) {
      verdict = std::string("ERROR ") + error.what();
    }
    std::replace(verdict.begin(), verdict.end(), '\n', ' ');
    std::cout << path << " " << verdict << "\n";
    CHECK_FALSE(verdict.starts_with("FAILED"));
  }
}
