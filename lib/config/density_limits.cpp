#include "config/density_limits.h"

#include <fmt/core.h>

#include "base/error.h"

namespace sparsify {

DensityLimits read_density_limits(const Options& rule, double min_density, const std::string& path) {
  DensityLimits limits;
  limits.max_density = rule.number("max_density", limits.max_density, {.min = 0, .max = 1, .above_min = true},
                                   "most that a layer keeps, as a fraction");
  if (limits.max_density < min_density) {
    throw ConfigError{{.what = fmt::format("max_density is {}, below min_density {}", limits.max_density, min_density),
                       .where = rule.where("max_density"),
                       .fix = "give a max_density that is not below min_density"}};
  }
  const Setting value = rule.value("density_limits", "least and most fraction by glob: {\"*conv1*\": [0.3, 1]}");
  if (value.is_null()) return limits;
  if (!value.is_map()) {
    throw ConfigError{{.what = "density_limits is " + value.describe(),
                       .where = rule.where("density_limits"),
                       .fix = "use a map from globs to [least, most]: {\"*conv1*\": [0.3, 1]}"}};
  }
  const Options map(value, path + ".density_limits");
  for (const auto& [glob, given] : value.map()) {
    const std::vector<double> pair = map.numbers(glob, {}, {.min = 0, .max = 1});
    if (pair.size() == 2 && pair[0] > pair[1]) {
      throw ConfigError{{.what = fmt::format("the density limits of \"{}\" are [{}, {}]: least {} is above most {}", glob, pair[0], pair[1], pair[0], pair[1]),
                         .where = map.where(glob),
                         .fix = fmt::format("give the least first, as in [{}, {}]", pair[1], pair[0])}};
    }
    if (pair.empty() || pair.size() > 2) {
      throw ConfigError{{.what = fmt::format("the density limits of \"{}\" are {}", glob, given.describe()),
                         .where = map.where(glob),
                         .fix = "give the least and the most fraction that stays, as in [0.3, 1]"}};
    }
    limits.by_layer.push_back({.layers = glob, .min = pair[0], .max = pair.size() == 2 ? pair[1] : 1});
  }
  return limits;
}

}  // namespace sparsify
