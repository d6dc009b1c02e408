#pragma once

#include <functional>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "mask/scores.h"

namespace sparsify {

/// What an allocator divides: layers with their units (what the pattern keeps or prunes as one).
struct AllocationTask {
  std::vector<PrunableTensor> layers;
  std::vector<int64_t> units;    ///< per layer
  std::vector<int64_t> floors;   ///< least units each layer keeps; floors[i] <= units[i]
  double sparsity = 0;           ///< global target over all units
  /// Unit scores of a layer (Pattern::unit_scores), produced when asked for; valid until the next call.
  std::function<ScoreView(size_t layer, std::vector<float>& buffer)> scores;
};

/// Says how many units each layer keeps. Knows nothing of the pattern's geometry.
class Allocator {
 public:
  static constexpr const char* kFamily = "allocation";
  virtual ~Allocator() = default;

  /// Keeps kept_count(sum of units, sparsity) units in all (for `uniform`: per layer), more only where floors demand it.
  virtual Budget allocate(const AllocationTask& task) const = 0;
};

}  // namespace sparsify
