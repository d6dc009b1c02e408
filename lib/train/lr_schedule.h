#pragma once

#include <memory>

#include "base/registry.h"
#include "config/options.h"

namespace sparsify {

/// A point of a training run, counted in optimizer steps.
struct TrainPoint {
  int64_t step = 0;
  int64_t total = 1;            ///< steps of the run
  int64_t steps_per_epoch = 1;

  double epoch() const { return static_cast<double>(step) / static_cast<double>(steps_per_epoch); }
  double progress() const { return static_cast<double>(step) / static_cast<double>(total); }
};

/// The learning rate of a step as a multiple of the optimizer's `lr`. A pure function, so that a run resumes anywhere.
class LrSchedule {
 public:
  static constexpr const char* kFamily = "lr schedule";
  virtual ~LrSchedule() = default;
  virtual double factor(const TrainPoint& point) const = 0;
};

/// `cosine`, `{name: step, every: 30}`; the key `warmup` of any of them puts a linear rise in front, and the schedule itself
/// then runs over the steps that are left.
/// throws ConfigError for an unknown name or option
std::unique_ptr<LrSchedule> make_lr_schedule(const Setting& value, const std::string& path);

}  // namespace sparsify
