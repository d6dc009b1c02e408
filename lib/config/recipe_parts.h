#pragma once

#include <string>
#include <vector>

#include "config/options.h"
#include "config/recipe.h"

namespace sparsify {

/// The parts of a recipe as reads of Options: read_recipe() takes the values, recipe_schema() reads
/// nothing and takes the records, so that keys, ranges, defaults and help stand in one place.

/// The keys that are scalars: model, output, seed, device, threads, metric, report.
void read_scalars(const Options& root, Recipe& recipe);
PruneRule read_rule(const Options& options, const std::string& path);
std::vector<Gate> read_gates(const Options& gates);

/// Keys of a budget in `sparsity`.
std::vector<std::string> budget_kinds();

}  // namespace sparsify
