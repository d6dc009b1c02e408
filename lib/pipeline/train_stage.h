#pragma once

#include <string>

#include "config/recipe.h"
#include "pipeline/decide.h"
#include "report/run_report.h"
#include "schedules/schedule.h"
#include "train/trainer.h"

namespace sparsify {

struct TrainStage {
  const ModelFile& file;
  const Recipe& recipe;
  std::string folder{};  ///< of the evidence; checkpoints and curves go there
  bool resume = false;
  bool overwrite = false;
  bool allow_linked_data = false;
  std::map<std::string, Shape> inputs{};  ///< whole input shapes, for the analysis of what is cut
};

struct TrainOutcome {
  WeightMap weights{};      ///< all that differ from the file
  TrainHistory history{};   ///< of the last round
  std::vector<double> round_sparsities{};  ///< of imp: what each round ran at
};

/// What the report says of it.
TrainingSummary summary_of(const TrainOutcome& outcome);

/// Whether the recipe trains; checks its keys `train`, `schedule` and data sets before any work.
/// throws ConfigError for keys that do not fit, a schedule that prunes while training without `train`, and a missing data.train
bool trains(const Recipe& recipe);

/// Of soft movement, whose penalty decides how many weights go: rules without a sparsity start from 0. A warning where a rule has one, else "".
std::string settle_sparsity_(Recipe& recipe);

/// Trains with the masks of `decisions` held, or with those that the schedule makes: then `decisions` get the final ones.
///   start  weights that an earlier stage changed
TrainOutcome train_stage(const TrainStage& stage, Decisions& decisions, const WeightMap& start);

/// `<folder>/checkpoints/training`
std::string checkpoint_folder(const std::string& folder);
/// Those of a finished run.
void drop_checkpoints(const std::string& folder);

}  // namespace sparsify
