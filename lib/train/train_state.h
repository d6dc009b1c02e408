#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "program/program.h"
#include "train/checkpoint.h"
#include "train/optimizer.h"
#include "train/trainables.h"
#include "train/trainer.h"

namespace sparsify {

class MovementScores;
class Unfolding;

/// Mean of what was added since the last take().
struct Average {
  double sum = 0;
  int64_t count = 0;

  void add(double value) {
    sum += value;
    ++count;
  }
  double take() {
    const double mean = count == 0 ? 0 : sum / static_cast<double>(count);
    *this = {};
    return mean;
  }
};

/// Everything that a training run changes: weights, masks, optimizer state, averages, the best so far. Masks are applied here
/// and nowhere else.
class TrainState {
 public:
  TrainState(const TrainTask& task, Program& program);
  ~TrainState();

  int64_t step = 0;
  double seconds = 0;           ///< of training before the last start
  Average epoch{};   ///< losses of this epoch
  Average logged{};  ///< losses since the last point of the curves
  std::optional<double> best{};
  WeightMap best_weights{};
  MaskMap best_masks{};
  int64_t epochs_without_gain = 0;
  WeightMap captured{};
  TrainHistory history{};

  Optimizer& optimizer() { return *optimizer_; }

  /// Takes over masks: pruned weights and their optimizer state become 0.
  void hold(const MaskMap& masks);
  MaskMap masks() const;
  double sparsity() const;
  /// Spent on holding masks in steps since the start of the process.
  double mask_seconds() const { return mask_seconds_; }

  /// Movement pruning: the masks that follow from the scores at this progress.
  void choose_by_scores(double progress);
  /// Clears gradients.
  void begin_step();
  /// Puts the weights, as the step is to see them, into the program.
  void refresh();
  /// As backward left them: what several processes add up before finish_step().
  std::vector<at::Tensor> gradients() const;
  /// Clips, masks gradients, steps, and masks once more.
  void finish_step(double clip_norm);
  /// SET and RigL: the mask changes instead of the weights.
  void replace_by_gradients(const DynamicSettings& settings, double position, uint64_t seed);

  /// What the file would hold now, running statistics included.
  WeightMap gather(bool averaged) const;
  /// Best weights if an epoch was judged, else the present ones.
  TrainResult result();
  /// What BatchNormalizations that a group freezes read, for FixedNorms.
  const std::vector<at::Tensor>& fixed_norms() const { return fixed_norms_; }
  /// `weight "conv1.weight"`, or "": as the file would store it.
  std::string first_bad_weight() const;
  /// Of running statistics, likewise.
  std::string first_bad_statistic() const;
  /// Runs `action` with the weights as the next step would see them; what a run of the graph moves (unfolding) is as before afterwards.
  void look(const std::function<void()>& action);

  /// What the trainer's runs of the graph need (unfolding).
  void attach(RunOptions& options);
  /// Before the first step of a run that no checkpoint begins: measures what unfolding starts from and takes the task's masks over.
  void begin();

  Checkpoint snapshot() const;
  /// For other processes, which read from the file what is not trained: that of the task's start.
  void add_untrained(Checkpoint& checkpoint) const;
  void take(const Checkpoint& checkpoint);
  void save() const;
  /// From the newest checkpoint; false if there is none.
  bool restore();

 private:
  /// A weight other than the file's, trained or not.
  void put(int id, const HostTensor& weight);
  void mask_weights();
  void count_pruned();

  const TrainTask& task_;
  Program& program_;
  std::vector<Trainable> trainables_;
  std::vector<Parameter*> statistics_;
  std::vector<at::Tensor> fixed_norms_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<MovementScores> scores_;  ///< null unless movement pruning is asked for
  std::unique_ptr<Unfolding> unfolding_;    ///< null unless asked for
  int64_t total_;
  double sparsity_ = 0;
  double mask_seconds_ = 0;
};

}  // namespace sparsify
