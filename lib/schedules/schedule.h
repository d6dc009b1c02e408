#pragma once

#include "base/registry.h"
#include "config/options.h"

namespace sparsify {

/// When: the sparsity at a point of the run. A pure function of progress.
class Schedule {
 public:
  static constexpr const char* kFamily = "schedule";
  virtual ~Schedule() = default;

  /// The sparsity at `progress` in [0, 1] (clamped) of a run that ends at `target`; never falls, `target` at 1.
  virtual double sparsity_at(double progress, double target) const = 0;
};

}  // namespace sparsify
