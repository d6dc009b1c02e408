#pragma once

#include <memory>
#include <optional>

#include "pipeline/scratch_model.h"
#include "pipeline/train_stage.h"
#include "schedules/imp.h"

namespace sparsify {

/// The plugin named by `schedule:`, as it behaves in a run that trains: of the gradual ones the window ends at 0.75 unless
/// the recipe says otherwise, so that the final masks are trained as well.
std::unique_ptr<Schedule> schedule_for_training(const Recipe& recipe);

/// What the decisions hold, by tensor id.
MaskMap masks_of(const Decisions& decisions);

/// What all trainings of one run share.
class TrainRun {
 public:
  ///   start  weights that an earlier stage changed
  TrainRun(const TrainStage& stage, Decisions& decisions, const WeightMap& start);

  const Schedule& schedule() const { return *schedule_; }
  const TrainSettings& settings() const { return settings_; }
  const DataSource& data() const { return data_; }

  /// A task with everything but start, masks and schedule.
  TrainTask task() const;
  MaskMap masks() const;
  void take(const MaskMap& masks);

  /// The masks that the recipe's rules give for these weights: `sparsity` of each rule's target. Of a run that cuts, those of whole units; what is
  /// gone stays gone.
  MaskMap decide_at(const WeightMap& weights, const std::function<double(double target)>& sparsity) const;

  /// The model with these weights, and those of `start` that they lack.
  ScratchModel with(const WeightMap& weights) const;

  const TrainStage& stage() const { return stage_; }
  const Decisions& decisions() const { return decisions_; }

 private:
  double validate(const WeightMap& weights) const;
  /// What a checkpoint must belong to: the bytes of every file that decides about the training, among others.
  std::map<std::string, std::string> identity() const;

  TrainStage stage_;
  Decisions& decisions_;
  WeightMap start_;
  TrainSettings settings_;
  std::unique_ptr<Schedule> schedule_;
  DataSource data_;
  ProcessGroup* processes_;  ///< null: alone
  std::string validation_name_;  ///< "": none
  std::optional<DataSource> validation_;
  std::unique_ptr<ModelFile> teacher_;
  std::string metric_;
  bool higher_is_better_ = true;
};

/// Rounds of training and pruning (schedule imp).
TrainOutcome train_rounds(TrainRun& run, const Imp& imp, const WeightMap& start);

}  // namespace sparsify
