#pragma once

#include <vector>

#include "config/recipe.h"
#include "report/run_report.h"

namespace sparsify {

/// Before any work: gates that could not be judged at the end.
/// throws ConfigError naming what is missing (`data.eval` for accuracy gates)
void require_judgeable(const Recipe& recipe);

/// The gates of the recipe on the figures of the report.
std::vector<GateResult> judge(const Recipe& recipe, const RunReport& report);

}  // namespace sparsify
