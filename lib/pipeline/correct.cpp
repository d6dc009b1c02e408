#include "pipeline/correct.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/module.h"
#include "base/sha256.h"
#include "config/option_check.h"
#include "config/solver_name.h"
#include "data/source_files.h"
#include "onnx/content_digest.h"
#include "pipeline/calibration.h"
#include "pipeline/cut_plan.h"
#include "pipeline/cut_repair.h"
#include "pipeline/relu_share.h"

namespace sparsify {
namespace {

bool has_solver(const Decision& decision) { return split_name(decision.solver, "solver").name != "none"; }

void refuse_repair_of_cuts(const Recipe& recipe) {
  if (recipe.repair != "least_squares") return;
  throw ConfigError{{.what = "repair: least_squares is for what a cut leaves, and this run writes zeros",
                     .where = "repair",
                     .fix = "name a solver (`--solver gradual`), or use repair: auto, none, statistics"}};
}

bool wants_repair(const Recipe& recipe, const Decisions& decisions) {
  if (recipe.repair != "auto") return recipe.repair == "statistics";
  return (recipe.data.contains("calibration") || recipe.data.contains("train")) && recipe.train.is_null() &&
         std::none_of(decisions.decided.begin(), decisions.decided.end(), has_solver);
}

std::string budgets_of(const Decisions& decisions) {
  std::string text;
  for (const Decision& decision : decisions.decided) text += fmt::format(";{}:{}", decision.tensor.id, decision.keep);
  return text;
}

std::vector<std::filesystem::path> solved_layers(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::filesystem::path> solved;
  for (const auto& entry : std::filesystem::directory_iterator(state_folder(folder), ignored)) {
    if (entry.path().filename().string().starts_with("solved-")) solved.push_back(entry.path());
  }
  return solved;
}

std::string solvers_of(const CorrectionTask& task) {
  std::string text;
  for (const LayerTask& layer : task.layers) text += ";" + to_yaml(layer.solver);
  return text;
}

}  // namespace

std::string state_folder(const std::string& evidence) { return (std::filesystem::path(evidence) / "checkpoints").string(); }

std::string correction_fingerprint(const ModelFile& file, const Recipe& recipe, const std::string& decided) {
  std::string text = content_digest(file);
  Recipe relevant = recipe;
  relevant.output.clear();
  relevant.gates.clear();
  text += to_yaml(resolved(relevant)) + decided;
  text += digest_of_files(files_of_set(recipe.data.contains("calibration") ? "calibration" : "train", recipe.data));  // as open_calibration() chooses
  return sha256_of(std::as_bytes(std::span(text.data(), text.size())));
}

void require_correctable(const Recipe& recipe) {
  const bool solves = std::any_of(recipe.prune.begin(), recipe.prune.end(), [](const PruneRule& rule) { return solver_name(rule) != "none"; });
  if (cuts(recipe)) {
    if (wants_cut_repair(recipe)) require_calibration(recipe, "repair after a cut", kCorrectionSamples);
    return;
  }
  refuse_repair_of_cuts(recipe);
  if (solves || recipe.repair == "statistics") require_calibration(recipe, recipe.repair == "statistics" ? "statistics repair" : "a solver", kCorrectionSamples);
}

bool wants_correction(const Recipe& recipe, const Decisions& decisions) {
  refuse_repair_of_cuts(recipe);  // a plan comes here without require_correctable()
  return wants_repair(recipe, decisions) || std::any_of(decisions.decided.begin(), decisions.decided.end(), has_solver);
}

Correction correct(const ModelFile& file, const Recipe& recipe, const std::string& folder, bool resume, Decisions& decisions) {
  const bool repairs = wants_repair(recipe, decisions);
  const DataSource calibration = open_calibration(file, recipe, repairs ? "statistics repair" : "a solver", kCorrectionSamples);
  CorrectionTask task;
  task.calibration = &calibration;
  task.threads = recipe.threads;
  task.device = recipe.device == "auto" ? "cpu" : recipe.device;
  task.state_folder = state_folder(folder);
  task.resume = resume;
  task.repair_statistics = repairs;
  for (const Decision& decision : decisions.decided) {
    task.layers.push_back({.tensor = decision.tensor,
                           .pattern = decision.pattern_setting,
                           .keep = decision.keep,
                           .mask = decision.mask,
                           .solver = has_solver(decision) ? decision.solver : Setting("none"),
                           .solver_path = decision.solver_path,
                           .share = decision.share,
                           .floor = decision.floor});
  }
  load_module("torch");
  const std::string note = choose_relu_share_(task, file, recipe, calibration);
  task.fingerprint = correction_fingerprint(file, recipe, budgets_of(decisions) + solvers_of(task));
  Correction correction = Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, task);
  if (!note.empty()) correction.notes.push_back(note);
  for (size_t i = 0; i < decisions.decided.size(); ++i) {
    Decision& decision = decisions.decided[i];
    decision.mask = correction.layers[i].mask;
    if (decision.share >= 0) decision.target = static_cast<double>(decision.mask.pruned()) / static_cast<double>(decision.mask.size());
  }
  return correction;
}

void require_no_solved_layers(const std::string& folder, bool overwrite) {
  if (solved_layers(folder).empty()) return;
  if (!overwrite) {
    throw ConfigError{{.what = "an unfinished run left solved layers", .where = state_folder(folder), .fix = "go on with --resume, or start anew with --overwrite"}};
  }
  drop_solved_layers(folder);
}

void drop_solved_layers(const std::string& folder) {
  std::error_code ignored;
  for (const std::filesystem::path& file : solved_layers(folder)) std::filesystem::remove(file, ignored);
  std::filesystem::remove(state_folder(folder), ignored);  // only if empty
}

void describe_correction(const Correction& correction, const Decisions& decisions, RunReport& report) {
  std::map<int, std::string> names;
  for (const Decision& decision : decisions.decided) names[decision.tensor.id] = decision.tensor.initializer;
  for (const Skipped& skipped : decisions.skipped) names[skipped.tensor.id] = skipped.tensor.initializer;
  for (const LayerCorrection& layer : correction.layers) {
    if (!layer.error) continue;
    for (LayerRow& row : report.layers) {
      if (row.initializer != names[layer.id]) continue;
      row.error_before = layer.error_before;
      row.error = layer.error;
      row.solve_s = layer.seconds;
    }
  }
}

}  // namespace sparsify
