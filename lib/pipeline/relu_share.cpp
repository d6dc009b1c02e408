#include "pipeline/relu_share.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"
#include "base/module.h"
#include "config/option_check.h"
#include "onnx/flat_graph.h"
#include "pipeline/calibration.h"
#include "pipeline/trial.h"

namespace sparsify {
namespace {

constexpr std::array kShares{1.0, 0.5};

bool has_relu(const ModelFile& file) {
  const FlatGraph graph = flatten(file.model());
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const FlatNode& node) { return node.node->domain.empty() && node.node->op_type == "Relu"; });
}

bool leaves_share_open(const Setting& solver) {
  const NamedOptions named = split_name(solver, "solver");
  return named.name == "gradual" && !named.options.has("relu");
}

Setting with_share(const Setting& solver, double share) {
  Setting chosen;
  if (solver.is_map()) chosen = solver;
  else chosen.set("name", solver);
  chosen.set("relu", Setting(share));
  return chosen.set_mark(solver.mark());
}

DataSource fewer_samples(const ModelFile& file, const Recipe& recipe) {
  std::map<std::string, Setting> sets = recipe.data;
  Setting few;
  few.set("from", Setting(sets.contains("calibration") ? "calibration" : "train"));
  few.set("samples", Setting(kShareSamples));
  sets["relu_share"] = std::move(few);
  return DataSource("relu_share", sets, file.model().graph.inputs, static_cast<uint64_t>(recipe.seed));
}

}  // namespace

bool leaves_relu_open(const ModelFile& file, const Setting& solver) { return leaves_share_open(solver) && has_relu(file); }

std::string choose_relu_share_(CorrectionTask& task, const ModelFile& file, const Recipe& recipe, const DataSource& calibration) {
  std::vector<size_t> open;
  for (size_t i = 0; i < task.layers.size(); ++i) {
    if (leaves_share_open(task.layers[i].solver)) open.push_back(i);
  }
  if (open.empty() || !has_relu(file)) return "";
  load_module("torch");
  std::optional<DataSource> fewer;
  if (calibration.size() > kShareSamples) fewer.emplace(fewer_samples(file, recipe));
  const DataSource& tried_on = fewer ? *fewer : calibration;
  Trial trial(file, calibration, {.metric = "", .session = {.threads = static_cast<int>(task.threads), .device = task.device}, .samples = kShareJudges});
  CorrectionTask attempt = task;
  attempt.calibration = &tried_on;
  attempt.state_folder.clear();
  attempt.warn_unsolved = false;
  std::vector<double> errors;
  bool diverges = false;
  for (const double share : kShares) {
    for (const size_t i : open) attempt.layers[i].solver = with_share(task.layers[i].solver, share);
    log_info("Trying relu: {} on {} samples", share, tried_on.size());
    const Correction correction = Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, attempt);
    const Damage damage = trial.measure_with(correction.tensors);
    diverges = damage.divergence.has_value();
    errors.push_back(damage.divergence.value_or(damage.relative_error));
  }
  const size_t best = errors[1] < errors[0] ? 1 : 0;
  for (const size_t i : open) task.layers[i].solver = with_share(task.layers[i].solver, kShares[best]);
  return fmt::format("Solver: gradual with relu: {}, because {} of the outputs from the dense ones is {:.3g}, and {:.3g} with relu: {} ({} samples each, judged by {}).",
                     kShares[best], diverges ? "the divergence" : "the relative error", errors[best], errors[1 - best], kShares[1 - best], tried_on.size(), trial.samples());
}

}  // namespace sparsify
