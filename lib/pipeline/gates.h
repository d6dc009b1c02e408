#pragma once

#include <vector>

#include "config/recipe.h"
#include "data/loader.h"
#include "report/run_report.h"

namespace sparsify {

/// Before any work: gates that could not be judged at the end.
/// throws ConfigError naming what is missing (`data.eval` for accuracy gates), and for accuracy gates with a metric of which lower is better
void require_judgeable(const Recipe& recipe);

/// Likewise, for `metric: auto`: without classes as labels it is mse, of which lower is better.
/// throws ConfigError as above
void require_labels(const Recipe& recipe, const DataSource& eval);

/// The gates of the recipe on the figures of the report; accuracies in points, 100 for the whole.
std::vector<GateResult> judge(const Recipe& recipe, const RunReport& report);

}  // namespace sparsify
