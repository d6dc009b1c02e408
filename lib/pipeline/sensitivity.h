#pragma once

#include <string>
#include <vector>

#include "config/recipe.h"
#include "report/sensitivity_report.h"
#include "tensor/shape.h"

namespace sparsify {

struct SensitivityRequest {
  Recipe recipe{};         ///< model, data, metric, seed, and rules for their `select` and `criterion`
  std::string data{};      ///< which set of the recipe is measured on; "": calibration, else eval
  std::string command{};   ///< as typed, for the report
  std::string folder{};    ///< sensitivity.json, .csv and .html go here; "": nothing is written
  std::vector<double> sparsities{};   ///< each in (0, 1)
  std::vector<Setting> patterns{};    ///< those that fix the density are measured once, the others at each sparsity
  int64_t samples = 512;   ///< at most, drawn with the seed; 0: all
  bool overwrite = false;
  std::map<std::string, Shape> input_shapes{};  ///< for MACs where the graph leaves shapes open
};

/// Prunes one layer at a time at each point of the grid, measures, and restores it exactly. Floors do not apply.
/// throws ConfigError for what cannot be measured (before any work), ResourceError; then nothing was written
SensitivityReport measure_sensitivity(const SensitivityRequest& request);

}  // namespace sparsify
