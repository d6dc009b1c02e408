#include "pipeline/correct.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/module.h"
#include "base/sha256.h"
#include "config/option_check.h"

namespace sparsify {
namespace {

/// Images (or other samples) that are taken from the training set when no calibration set is named.
constexpr int64_t kCalibrationSamples = 2048;

bool has_solver(const Decision& decision) { return split_name(decision.solver, "solver").name != "none"; }

bool wants_repair(const Recipe& recipe, const Decisions& decisions) {
  const Setting* repair = recipe.source.find("repair");
  if (repair != nullptr && repair->is_text() && repair->text() != "auto") return repair->text() == "statistics";
  return (recipe.data.contains("calibration") || recipe.data.contains("train")) && recipe.train.is_null() &&
         std::none_of(decisions.decided.begin(), decisions.decided.end(), has_solver);
}

/// What the result depends on beside the calibration data: model, rules, budgets, seed.
std::string fingerprint_of(const ModelFile& file, const Recipe& recipe, const Decisions& decisions) {
  std::string text = file.sha256();
  Recipe relevant = recipe;
  relevant.output.clear();
  relevant.gates.clear();
  text += to_yaml(resolved(relevant));
  for (const Decision& decision : decisions.decided) text += fmt::format(";{}:{}", decision.tensor.id, decision.keep);
  return sha256_of(std::as_bytes(std::span(text.data(), text.size())));
}

/// The set `calibration`, or a seeded part of `train` with its augmentation.
DataSource calibration_of(const ModelFile& file, const Recipe& recipe) {
  std::map<std::string, Setting> sets = recipe.data;
  if (!sets.contains("calibration")) {
    if (!sets.contains("train")) {
      throw ConfigError{{.what = "correcting weights needs calibration data, and the recipe names none",
                         .where = "data",
                         .fix = "name samples without labels: --train-data FORMAT:PATH, or `data.calibration` in a recipe; or use solver: none"}};
    }
    Setting calibration{Setting::Map{}};
    calibration.set("from", Setting("train"));
    sets.emplace("calibration", calibration);
    const DataSource all("calibration", sets, file.model().graph.inputs, static_cast<uint64_t>(recipe.seed));
    if (all.size() > kCalibrationSamples) sets.at("calibration").set("samples", Setting(kCalibrationSamples));
  }
  return {"calibration", sets, file.model().graph.inputs, static_cast<uint64_t>(recipe.seed)};
}

}  // namespace

bool wants_correction(const Recipe& recipe, const Decisions& decisions) {
  return wants_repair(recipe, decisions) || std::any_of(decisions.decided.begin(), decisions.decided.end(), has_solver);
}

Correction correct(const ModelFile& file, const Recipe& recipe, const std::string& folder, bool resume, Decisions& decisions) {
  const DataSource calibration = calibration_of(file, recipe);
  CorrectionTask task;
  task.calibration = &calibration;
  task.threads = recipe.threads;
  task.device = recipe.device == "auto" ? "cpu" : recipe.device;
  task.state_folder = (std::filesystem::path(folder) / "checkpoints").string();
  task.fingerprint = fingerprint_of(file, recipe, decisions);
  task.resume = resume;
  task.repair_statistics = wants_repair(recipe, decisions);
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
  Correction correction = Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, task);
  for (size_t i = 0; i < decisions.decided.size(); ++i) {
    Decision& decision = decisions.decided[i];
    decision.mask = correction.layers[i].mask;
    if (decision.share >= 0) decision.target = static_cast<double>(decision.mask.pruned()) / static_cast<double>(decision.mask.size());
  }
  return correction;
}

void describe_correction(const Correction& correction, const Decisions& decisions, RunReport& report) {
  for (size_t i = 0; i < correction.layers.size(); ++i) {
    const LayerCorrection& layer = correction.layers[i];
    if (!layer.error) continue;
    for (LayerRow& row : report.layers) {
      if (row.initializer != decisions.decided[i].tensor.initializer) continue;
      row.error_before = layer.error_before;
      row.error = layer.error;
      row.solve_s = layer.seconds;
    }
  }
}

}  // namespace sparsify
