#pragma once

#include "schedules/schedule.h"

namespace sparsify {

/// Movement pruning: weights that move towards zero go. Sanh, Wolf & Rush 2020, arXiv:2005.07683. The remaining fraction is 1
/// until `begin`, falls as a cube and stays from `end` on.
class MovementSchedule final : public Schedule {
 public:
  explicit MovementSchedule(const Options& options);

  double sparsity_at(double progress, double target) const override;
  int64_t every() const override { return every_; }
  bool soft() const { return soft_; }
  double lr() const { return lr_; }
  double threshold() const { return threshold_; }
  double penalty() const { return penalty_; }
  double begin() const { return begin_; }
  double end() const { return end_; }

 private:
  bool soft_;
  double lr_;
  double threshold_;
  double penalty_;
  double begin_;
  double end_;
  int64_t every_;
};

}  // namespace sparsify
