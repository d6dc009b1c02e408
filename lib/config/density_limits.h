#pragma once

#include <string>
#include <vector>

#include "config/options.h"

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

/// Reads `max_density` and `density_limits` of a rule. throws ConfigError for limits out of range or order
DensityLimits read_density_limits(const Options& rule, double min_density, const std::string& path);

}  // namespace sparsify
