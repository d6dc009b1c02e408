#pragma once

#include <optional>

#include "schedules/schedule.h"

namespace sparsify {

/// Iterative magnitude pruning: rounds of training and pruning.
/// Frankle & Carbin 2019, arXiv:1803.03635 (weights back to the start); Frankle et al. 2020, arXiv:1912.05671 (to step k);
/// Renda, Frankle & Carbin 2020, arXiv:2003.02389 (only the learning rate).
class Imp final : public Schedule {
 public:
  enum class Rewind {
    LearningRate,  ///< weights stay, every round replays the learning rates
    Weights,       ///< survivors go back to what they were at a step of the first, dense round
    Nothing,       ///< one run over all rounds with one schedule of the learning rate
  };

  explicit Imp(const Options& options);

  /// Constant within a round: the k-th of R rounds runs at 1 - (1 - target)^(k / R), or at 1 - (1 - fraction)^k.
  double sparsity_at(double progress, double target) const override;

  /// Rounds that reach `target`.
  int64_t rounds(double target) const;
  /// Of round `round` in [1, rounds].
  double sparsity_of(int64_t round, double target) const;

  Rewind rewind() const { return rewind_; }
  /// Of Rewind::Weights: optimizer steps, or epochs.
  int64_t to_step() const { return to_step_; }
  std::optional<double> to_epoch() const { return to_epoch_; }

 private:
  int64_t rounds_;
  double fraction_;
  Rewind rewind_ = Rewind::LearningRate;
  int64_t to_step_ = 0;
  std::optional<double> to_epoch_;
};

}  // namespace sparsify
