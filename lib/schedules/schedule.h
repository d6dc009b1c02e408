#pragma once

#include "base/registry.h"
#include "config/options.h"

namespace sparsify {

/// When: the sparsity at a point of the run. A pure function of progress.
class Schedule {
 public:
  static constexpr const char* kFamily = "schedule";
  virtual ~Schedule() = default;

  /// Fraction of the final sparsity reached at `progress` in [0, 1]; monotone, 1 at 1.
  virtual double fraction_at(double progress) const = 0;
};

}  // namespace sparsify
