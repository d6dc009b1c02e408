// Every criterion with every pattern and the allocations that read its scores, on a small network: either it runs and is exact, or it is refused
// with a reason before any weight is decided.
#include <fmt/core.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "allocators/allocator.h"
#include "base/error.h"
#include "criteria/criterion.h"
#include "patterns/pattern.h"
#include "pipeline/decide.h"
#include "pipeline/sensitivity.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

constexpr double kSparsity = 0.6;
constexpr const char* kModel = "configs/quickstart/digits.onnx";
constexpr const char* kData = "data: {train: {format: npz, path: configs/quickstart/digits-train.npz, scale: 16, limit: 8}}\n";
constexpr const char* kSelect = "select: {include: [block1.conv1, block1.conv2, classifier], first_last: true}";

const std::vector<std::string>& patterns() {
  static const auto* all = new std::vector<std::string>{"unstructured", "per_row", "'2:4'", "{block: [4, 1]}"};
  return *all;
}

Recipe recipe_of(const std::string& rule) { return read_recipe(parse_yaml(fmt::format("model: {}\n{}prune: {}", kModel, kData, rule), "test"), ""); }

/// Measured once for the allocation that needs a table.
const std::string& table() {
  static const auto* path = [] {
    SensitivityRequest request;
    request.recipe = recipe_of("{" + std::string(kSelect) + "}");
    request.data = "train";
    request.sparsities = {0.5, 0.9};
    request.patterns = {Setting("unstructured"), Setting("per_row"), parse_yaml("{block: [4, 1]}", "test")};
    auto* file = new std::string((std::filesystem::temp_directory_path() / ("sparsify-composition-" + std::to_string(::getpid()) + ".json")).string());
    std::ofstream(*file) << to_json_text(measure_sensitivity(request));
    return file;
  }();
  return *path;
}

std::string allocation_of(const std::string& name) { return name == "sensitivity" ? "{name: sensitivity, table: '" + table() + "'}" : name; }

int64_t kept_units(const Pattern& pattern, const Decision& one) {
  std::vector<float> bits(static_cast<size_t>(one.mask.size()));
  for (int64_t i = 0; i < one.mask.size(); ++i) bits[static_cast<size_t>(i)] = one.mask[i] ? 1.0F : 0.0F;
  std::vector<float> buffer;
  const ScoreView units = pattern.unit_scores(one.tensor, bits, buffer);
  int64_t kept = 0;
  for (int64_t i = 0; i < units.size(); ++i) kept += units[i] > 0;
  return kept;
}

bool runs_the_model(const std::string& criterion) {
  return Registry<Criterion>::instance().make(criterion, Options())->needs() != Evidence::None;
}

void check_exact(const Decisions& decisions, const std::string& allocation) {
  REQUIRE_FALSE(decisions.decided.empty());
  int64_t units = 0;
  int64_t kept = 0;
  for (const Decision& one : decisions.decided) {
    INFO(one.tensor.layer);
    const auto pattern = make_pattern(one.pattern_setting, "test");
    REQUIRE(one.mask.size() == one.tensor.count());
    CHECK(pattern->violation(one.tensor, one.mask).empty());
    const int64_t own = kept_units(*pattern, one);
    if (const auto fixed = pattern->fixed_sparsity(one.tensor)) {
      CHECK(one.mask.kept() == kept_count(one.tensor.count(), *fixed));
      continue;
    }
    if (allocation == "uniform") CHECK(own == kept_count(pattern->units(one.tensor), kSparsity));
    units += pattern->units(one.tensor);
    kept += own;
  }
  const bool by_layer = allocation == "uniform" || allocation == "auto";  // which may choose uniform
  if (units > 0 && !by_layer) CHECK(kept == kept_count(units, kSparsity));
}

}  // namespace

TEST_CASE("every criterion with every pattern and allocation that looks at it runs exactly or is refused with a reason", "[pipeline][composition]") {
  const ModelFile file = ModelFile::load(kModel);
  int ran = 0;
  std::set<std::string> reasons;
  std::vector<std::string> allocations = Registry<Allocator>::instance().names();
  allocations.emplace_back("null");
  for (const std::string& criterion : Registry<Criterion>::instance().names()) {
    for (const std::string& pattern : patterns()) {
      const bool fixed = pattern == "'2:4'";
      for (const std::string& allocation : allocations) {
        // Allocations that read no scores ask nothing of a criterion: with those that run the model they are left out for time.
        static const std::set<std::string> kReadScores = {"null", "lamp", "normalised", "owl"};
        if (runs_the_model(criterion) && !kReadScores.contains(allocation)) continue;
        INFO(criterion << " x " << pattern << " x " << allocation);
        const std::string rule = "{" + std::string(kSelect) + ", criterion: " + criterion + ", pattern: " + pattern + ", allocation: " + allocation_of(allocation) +
                                 (fixed ? "" : ", sparsity: 0.6") + ", min_density: 0}";
        const Recipe recipe = recipe_of(rule);
        try {
          check_exact(decide(file, recipe), allocation == "null" ? "global" : allocation);
          ++ran;
        } catch (const ConfigError& refusal) {
          CHECK_FALSE(refusal.problem().what.empty());
          CHECK_FALSE(refusal.problem().where.empty());
          CHECK_FALSE(refusal.problem().fix.empty());
          reasons.insert(refusal.problem().what);
          // Magnitude goes with everything; only a pattern that fixes the density leaves nothing to allocate, and without a solver
          // there is no error to divide by.
          if (criterion == "magnitude") CHECK(((fixed && allocation != "null" && allocation != "uniform") || allocation == "reconstruction"));
        }
      }
    }
  }
  std::string all;
  for (const std::string& reason : reasons) all += reason + "\n";
  INFO(all);
  CHECK(ran > 100);
  CHECK(reasons.size() <= 40);  // families of reasons, not one for every combination
  std::filesystem::remove(table());
}
