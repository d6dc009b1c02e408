#pragma once

#include <string>
#include <vector>

#include "config/recipe.h"

namespace sparsify {

/// `"*conv1*": [0.3, 1]`
struct DensityLimit {
  std::string layers;  ///< glob on node and initializer names
  double min = 0;
  double max = 1;
};

/// How much of single layers may stay, beside PruneRule::min_density.
struct DensityLimits {
  double max_density = 1;             ///< most that a layer keeps, as a fraction
  std::vector<DensityLimit> by_layer; ///< in the place of min_density and max_density for layers that match; the last match counts
};

/// Reads `max_density` and `density_limits`. throws ConfigError for limits out of range or order
DensityLimits read_density_limits(const Options& rule, const std::string& path);

/// Of a rule of a recipe that was read, from its tree; none for a recipe that was made without one.
DensityLimits density_limits_of(const Recipe& recipe, size_t rule);

}  // namespace sparsify
