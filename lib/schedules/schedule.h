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

  /// Whether masks follow sparsity_at() step by step while training.
  virtual bool is_gradual() const { return false; }
  /// Steps between two changes of the masks; 0: the pipeline's choice.
  virtual int64_t every() const { return 0; }
};

}  // namespace sparsify
