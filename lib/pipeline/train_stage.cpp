#include "pipeline/train_stage.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "config/solver_name.h"
#include "pipeline/cut_stage.h"
#include "pipeline/cut_training.h"
#include "pipeline/train_run.h"
#include "pipeline/untrained.h"
#include "schedules/dynamic.h"
#include "schedules/movement.h"
#include "train/checkpoint.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// The penalty of soft movement decides how many go.
bool leaves_sparsity_open(const Recipe& recipe) {
  const std::unique_ptr<Schedule> schedule = schedule_for_training(recipe);
  const auto* movement = dynamic_cast<const MovementSchedule*>(schedule.get());
  return movement != nullptr && movement->soft();
}

/// A pattern of single weights without a sparsity.
bool is_open(const PruneRule& rule) { return rule.sparsity.is_null() && split_name(rule.pattern, "pattern").name == "unstructured"; }

/// Schedules that follow a sparsity need rules that have one.
void require_free_sparsity(const Recipe& recipe, const std::string& schedule) {
  const bool open = leaves_sparsity_open(recipe);
  for (size_t i = 0; i < recipe.prune.size(); ++i) {
    const PruneRule& rule = recipe.prune[i];
    if (cuts(rule)) {
      require_gradual_cut(rule, fmt::format("prune.{}", i), schedule);
      continue;
    }
    const std::string pattern = split_name(rule.pattern, "pattern").name;
    if ((schedule == "dynamic" || schedule == "movement") && pattern != "unstructured") {
      throw ConfigError{{.what = fmt::format("the schedule \"{}\" chooses single weights, and the pattern {} does not", schedule, pattern),
                         .where = fmt::format("{} (prune.{}.pattern)", rule.mark.text(), i),
                         .fix = "use pattern: unstructured, or schedule: one_shot, linear, cubic, exponential or imp"}};
    }
    if (!rule.sparsity.is_number() && !(open && is_open(rule))) {
      const bool budget = rule.sparsity.is_map();
      throw ConfigError{{.what = fmt::format("the schedule \"{}\" raises the sparsity while it trains, and this rule gives {}", schedule, budget ? "a budget" : "none"),
                         .where = fmt::format("{} (prune.{}.sparsity)", rule.mark.text(), i),
                         .fix = budget ? "give the sparsity that meets the budget (a --dry-run with schedule: one_shot prints it), or use schedule: one_shot"
                                       : "give a number, or use schedule: one_shot for patterns that fix the density"}};
    }
    if (solver_name(rule) != "none") {
      throw ConfigError{{.what = fmt::format("a solver corrects weights once, and the schedule \"{}\" goes on changing them", schedule),
                         .where = fmt::format("{} (prune.{}.solver)", rule.mark.text(), i),
                         .fix = "use schedule: one_shot with train, or no solver"}};
    }
  }
}

/// Steps at which a gradual schedule makes new masks: the first, every so many, and the one at which the target is reached.
std::vector<int64_t> mask_steps(const Schedule& schedule, int64_t total) {
  const int64_t every = schedule.every() > 0 ? schedule.every() : std::clamp<int64_t>(total / 40, 1, 100);
  std::vector<int64_t> steps;
  for (int64_t step = 0; step < total; ++step) {
    const bool reached = schedule.sparsity_at(static_cast<double>(step) / static_cast<double>(total), 0.5) >= 0.5;
    if (step % every == 0 || reached) steps.push_back(step);
    if (reached) return steps;
  }
  steps.push_back(total - 1);  // a window that ends with the run: the last step trains the final masks
  return steps;
}

/// Trains a task whose masks change, and decides as it ended.
TrainOutcome train_with_new_masks(TrainRun& run, const TrainTask& task) {
  TrainResult result = make_trainer()->train(task);
  run.take(result.masks);
  return {.weights = std::move(result.weights), .history = std::move(result.history)};
}

TrainOutcome train_gradually(TrainRun& run, const WeightMap& start) {
  TrainTask task = run.task();
  const Schedule& schedule = run.schedule();
  const int64_t total = total_steps(run.settings(), run.data());
  task.start = start;
  task.mask_steps = mask_steps(schedule, total);
  task.new_masks = [&](const WeightMap& weights, int64_t step, int64_t all) {
    const bool last = step == task.mask_steps.back();
    const double progress = last ? 1 : static_cast<double>(step) / static_cast<double>(all);
    return run.decide_at(weights, [&](double target) { return schedule.sparsity_at(progress, target); });
  };
  task.final_masks_from = static_cast<double>(task.mask_steps.back() + 1) / static_cast<double>(total);
  return train_with_new_masks(run, task);
}

TrainOutcome train_dynamically(TrainRun& run, const Dynamic& dynamic, const WeightMap& start) {
  TrainTask task = run.task();
  task.start = start;
  task.masks = run.masks();
  task.dynamic = DynamicSettings{.grow = dynamic.grow(), .fraction = dynamic.fraction(), .every = dynamic.every(), .end = dynamic.end()};
  task.final_masks_from = dynamic.end();
  return train_with_new_masks(run, task);
}

TrainOutcome train_by_movement(TrainRun& run, const MovementSchedule& movement, const WeightMap& start) {
  TrainTask task = run.task();
  task.start = start;
  task.movement = MovementSettings{.soft = movement.soft(), .lr = movement.lr(), .threshold = movement.threshold(), .penalty = movement.penalty(),
                                   .begin = movement.begin(), .end = movement.end(), .every = movement.every()};
  for (const Decision& decision : run.decisions().decided) task.movement->keep.emplace(decision.tensor.id, decision.mask.kept());
  task.final_masks_from = movement.end();
  const TrainResult result = make_trainer()->train(task);
  if (!movement.soft()) {
    for (const auto& [id, keep] : task.movement->keep) {
      if (result.masks.contains(id) && result.masks.at(id).kept() == keep) continue;
      drop_checkpoints(run.stage().folder);  // going on from them would end the same way
      throw ConfigError{{.what = "the training ended before the movement scores chose the masks",
                         .where = "train.epochs",
                         .fix = "train longer, or let the schedule end sooner (schedule: {name: movement, end: 0.5})"}};
    }
  }
  run.take(result.masks);
  return {.weights = result.weights, .history = result.history};
}

TrainOutcome train_once(TrainRun& run, const WeightMap& start) {
  TrainTask task = run.task();
  task.start = start;
  task.masks = run.masks();
  TrainResult result = make_trainer()->train(task);
  return {.weights = std::move(result.weights), .history = std::move(result.history)};
}

TrainOutcome train_as_scheduled(TrainRun& run, const WeightMap& start) {
  const Schedule& schedule = run.schedule();
  if (schedule.is_gradual()) return train_gradually(run, start);
  if (const auto* imp = dynamic_cast<const Imp*>(&schedule)) return train_rounds(run, *imp, start);
  if (const auto* dynamic = dynamic_cast<const Dynamic*>(&schedule)) return train_dynamically(run, *dynamic, start);
  if (const auto* movement = dynamic_cast<const MovementSchedule*>(&schedule)) return train_by_movement(run, *movement, start);
  return train_once(run, start);
}

}  // namespace

std::string checkpoint_folder(const std::string& folder) { return (fs::path(folder) / "checkpoints" / "training").string(); }

void drop_checkpoints(const std::string& folder) {
  std::error_code ignored;
  remove_checkpoints(checkpoint_folder(folder));  // what names the rest goes first: no moment leaves a damaged checkpoint
  remove_checkpoints((fs::path(checkpoint_folder(folder)) / "rounds").string());
  fs::remove_all(checkpoint_folder(folder), ignored);
  fs::remove(fs::path(folder) / "checkpoints", ignored);  // only if empty
}

TrainingSummary summary_of(const TrainOutcome& outcome) {
  const TrainHistory& history = outcome.history;
  TrainingSummary summary{.round_sparsities = outcome.round_sparsities, .samples = history.samples, .metric = history.metric};
  summary.best_epoch = history.best_epoch;
  summary.stopped_early = history.stopped_early;
  summary.resumed = history.resumed;
  for (const TrainRow& row : history.epochs) {
    summary.epochs.push_back({.step = row.step, .epoch = row.epoch, .loss = row.loss, .lr = row.lr, .sparsity = row.sparsity, .metric = row.metric, .seconds = row.seconds});
    summary.seconds = row.seconds;
    summary.wait_seconds = row.wait_seconds;
  }
  return summary;
}

bool trains(const Recipe& recipe) {
  const std::unique_ptr<Schedule> schedule = schedule_for_training(recipe);
  const std::string name = split_name(recipe.schedule, "schedule").name;
  const bool one_shot = name == "one_shot";
  if (recipe.train.is_null()) {
    if (one_shot) return false;
    throw ConfigError{{.what = fmt::format("the schedule \"{}\" prunes while it trains, and the recipe does not train", name),
                       .where = fmt::format("{} (schedule)", recipe.schedule.mark().text()),
                       .fix = "add train: {epochs: 3} and data: train, or use schedule: one_shot"}};
  }
  const TrainSettings settings = read_train_settings(recipe.train);
  if (!recipe.data.contains("train")) {
    throw ConfigError{{.what = "there is nothing to train with: data.train is missing",
                       .where = "data",
                       .fix = "describe it in the recipe under data: train, or give --train-data FORMAT:PATH"}};
  }
  if (!settings.validation.empty() && !recipe.data.contains(settings.validation)) {
    std::vector<std::string> names;
    for (const auto& [known, unused] : recipe.data) names.push_back(known);
    throw ConfigError{{.what = fmt::format("there is no data set \"{}\"", settings.validation), .where = "train.validation", .fix = suggest(settings.validation, names)}};
  }
  if (settings.patience > 0 && settings.validation.empty() && !recipe.data.contains("validation")) {
    throw ConfigError{{.what = "patience waits for a metric, and there is no validation data",
                       .where = "train.patience",
                       .fix = "add data: validation, as in {from: all, skip: 45000}"}};
  }
  if (!one_shot) require_free_sparsity(recipe, name);
  return true;
}

std::string settle_sparsity_(Recipe& recipe) {
  if (recipe.train.is_null() || !leaves_sparsity_open(recipe)) return "";
  bool said = false;
  for (PruneRule& rule : recipe.prune) {
    if (is_open(rule)) rule.sparsity = Setting(0.0);
    else said = said || (rule.sparsity.is_number() && rule.sparsity.number() > 0);
  }
  return said ? "the penalty and the threshold of soft movement decide how many weights go; the sparsity of the rules is not aimed at" : "";
}

TrainOutcome train_stage(const TrainStage& stage, Decisions& decisions, const WeightMap& start) {
  const std::string checkpoints = checkpoint_folder(stage.folder);
  if (fs::exists(checkpoints) && !stage.resume) {
    if (!stage.overwrite) {
      throw ConfigError{{.what = "an unfinished run left checkpoints", .where = checkpoints, .fix = "go on with --resume, or start anew with --overwrite"}};
    }
    std::error_code ignored;
    fs::remove_all(checkpoints, ignored);
  }
  const bool one_shot = split_name(stage.recipe.schedule, "schedule").name == "one_shot";
  const bool cuts_later = decisions.cut && !one_shot;
  const WeightMap from = one_shot ? with_untrained_masked(stage.file, read_train_settings(stage.recipe.train), masks_of(decisions), start, decisions.cut != nullptr) : start;
  TrainRun run(stage, decisions, from);
  TrainOutcome outcome = train_as_scheduled(run, from);
  if (cuts_later) {
    const ScratchModel trained = run.with(outcome.weights);
    CutPlan zeros = plan_zero_units(stage.file, {.inputs = stage.inputs, .zeros = &trained.file()});
    const std::map<int, std::string>& scope = decisions.cut->patterns;  // what keeps all units counts as well
    zeros.patterns.insert(scope.begin(), scope.end());
    Decisions chosen = decisions_of_cut(stage.file, std::move(zeros));
    chosen.warnings = std::move(decisions.warnings);
    chosen.notes = std::move(decisions.notes);
    decisions = std::move(chosen);
  }
  return outcome;
}

}  // namespace sparsify
