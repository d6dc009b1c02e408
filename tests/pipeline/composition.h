#pragma once

#include <fmt/core.h>
#include <unistd.h>

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

namespace sparsify::composition {

inline constexpr double kSparsity = 0.6;
inline constexpr const char* kModel = "configs/quickstart/digits.onnx";
inline constexpr const char* kTrain = "configs/quickstart/digits-train.npz";
inline constexpr const char* kSelect = "select: {include: [block1.conv1, block1.conv2, classifier], first_last: true}";

/// One way to write every registered pattern, by its name; `block` and `n_of_m` need numbers.
inline const std::map<std::string, std::vector<std::string>>& writings() {
  static const auto* all = new std::map<std::string, std::vector<std::string>>{
      {"unstructured", {"unstructured"}}, {"per_row", {"per_row"}}, {"n_of_m", {"'2:4'", "{n_of_m: {n: 2, m: 4, transposable: true}}"}},
      {"block", {"{block: [4, 1]}"}}, {"channel", {"channel"}}, {"head", {"head"}}, {"layer", {"layer"}}};
  return *all;
}

inline bool is_structured(const std::string& name) { return name == "channel" || name == "head" || name == "layer"; }
inline bool is_fixed(const std::string& pattern) { return pattern == "'2:4'" || pattern.find("n_of_m") != std::string::npos; }

/// Those that write zeros, or those that remove structure; a pattern that was registered and has no writing is an error here.
inline std::vector<std::string> patterns(bool structured) {
  std::vector<std::string> found;
  for (const std::string& name : Registry<Pattern>::instance().names()) {
    INFO("the pattern " << name << " takes no part in the composition test: add it to writings()");
    REQUIRE(writings().contains(name));
    if (is_structured(name) == structured) found.insert(found.end(), writings().at(name).begin(), writings().at(name).end());
  }
  return found;
}

inline Recipe recipe_of(const std::string& rule, const std::string& data = kTrain) {
  return read_recipe(parse_yaml(fmt::format("model: {}\ndata: {{train: {{format: npz, path: {}, scale: 16, limit: 8}}}}\nprune: {}", kModel, data, rule), "test"), "");
}

/// Measured once for the allocation that needs a table.
inline const std::string& table() {
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

inline std::vector<std::string> allocations() {
  std::vector<std::string> names = Registry<Allocator>::instance().names();
  names.emplace_back("null");
  return names;
}

inline std::string rule_of(const std::string& criterion, const std::string& pattern, const std::string& allocation, const std::string& solver = "none") {
  const std::string named = allocation == "sensitivity" ? "{name: sensitivity, table: '" + table() + "'}" : allocation;
  const bool structured = is_structured(pattern);
  return "{" + (structured ? std::string("select: {first_last: true}") : std::string(kSelect)) + ", criterion: " + criterion + ", pattern: " + pattern +
         ", allocation: " + named + ", solver: " + solver + (is_fixed(pattern) ? "" : ", sparsity: 0.6") + (structured ? "}" : ", min_density: 0}");
}

/// Units of the pattern that a mask keeps: blocks at an edge are smaller than the others.
inline int64_t kept_units(const Pattern& pattern, const Decision& one) {
  std::vector<float> bits(static_cast<size_t>(one.mask.size()));
  for (int64_t i = 0; i < one.mask.size(); ++i) bits[static_cast<size_t>(i)] = one.mask[i] ? 1.0F : 0.0F;
  std::vector<float> buffer;
  const ScoreView units = pattern.unit_scores(one.tensor, bits, buffer);
  int64_t kept = 0;
  for (int64_t i = 0; i < units.size(); ++i) kept += units[i] > 0;
  return kept;
}

/// A refusal names what, where and fix, and comes before any work: without data to read it is the same.
template <class Run>
void check_refusal(const ConfigError& refusal, const std::string& rule, const Run& run) {
  CHECK_FALSE(refusal.problem().what.empty());
  CHECK_FALSE(refusal.problem().where.empty());
  CHECK_FALSE(refusal.problem().fix.empty());
  std::string again;
  try {
    run(recipe_of(rule, "nowhere.npz"));
  } catch (const Error& error) {
    again = error.problem().what;
  }
  CHECK(again == refusal.problem().what);
}

}  // namespace sparsify::composition
