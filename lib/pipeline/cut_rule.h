#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/recipe.h"
#include "criteria/criterion.h"
#include "patterns/structured.h"

namespace sparsify {

/// A rule with its plugins made and its target read.
struct CutRule {
  const PruneRule* rule = nullptr;
  std::string path;
  std::string kind;  ///< channel, head, layer
  StructuredOptions options;
  std::string criterion;
  std::shared_ptr<const Criterion> plugin;  ///< null for criteria of units
  double sparsity = -1;
  std::optional<SparsityBudget> budget;
  int64_t samples = 0;  ///< of calibration data, for the criterion reconstruction
};

/// Rule `index` of the recipe, whose pattern removes structure (cuts()).
/// throws ConfigError for parts of it that a cut has no use for, names that nothing has, and a target that is missing
CutRule read_cut_rule(const Recipe& recipe, size_t index);

/// throws ConfigError at the place of a setting in the recipe: `recipe.yaml:3 (prune.0.sparsity)`
[[noreturn]] void refuse_setting(const Mark& mark, const std::string& path, std::string what, std::string fix);

}  // namespace sparsify
