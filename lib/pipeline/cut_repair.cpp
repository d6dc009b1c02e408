#include "pipeline/cut_repair.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/module.h"
#include "config/option_check.h"
#include "config/solver_name.h"
#include "pipeline/calibration.h"
#include "pipeline/correct.h"
#include "pipeline/cut_plan.h"
#include "solvers/solver.h"

namespace sparsify {
namespace {

bool is_none(const Setting& solver) { return split_name(solver, "solver").name == "none"; }

bool has_data(const Recipe& recipe) { return recipe.data.contains("calibration") || recipe.data.contains("train"); }

/// Rules of a plan that was read are not those of the cut.
const PruneRule* solving_rule(const Recipe& recipe, std::string& path) {
  const PruneRule* found = nullptr;
  for (size_t i = 0; i < recipe.prune.size(); ++i) {
    const PruneRule& rule = recipe.prune[i];
    if (solver_name(rule) == "none") continue;
    const std::string own = fmt::format("prune.{}.solver", i);
    if (found != nullptr && rule.solver.describe() != found->solver.describe()) {
      throw ConfigError{{.what = "the rules name different solvers, and a cut is corrected in one walk through the network",
                         .where = fmt::format("{} ({})", rule.solver.mark().text(), own),
                         .fix = "name one solver, in one rule"}};
    }
    found = &rule;
    path = own;
  }
  return found;
}

std::string removal_of(const CutPlan& plan) {
  std::string text;
  for (const KeptUnits& group : kept_units(plan)) text += fmt::format(";{}:{}", group.group, fmt::join(group.kept, ","));
  for (const Block& block : plan.blocks) text += ";" + block.name;
  return text;
}

/// Layers that keep their dense weights although they lost something, in one sentence.
std::string unsolved(const Correction& correction, const CorrectionTask& task) {
  std::vector<std::string> named;
  size_t count = 0;
  for (size_t i = 0; i < task.layers.size(); ++i) {
    if (correction.layers[i].note.empty() || task.layers[i].mask.pruned() == 0) continue;
    ++count;
    if (named.size() < 3) named.push_back(fmt::format("\"{}\": {}", task.layers[i].tensor.layer, correction.layers[i].note));
  }
  if (count == 0) return "";
  return fmt::format("{} of {} layers were cut without being solved again ({}{})", count, task.layers.size(), fmt::join(named, "; "),
                     count > named.size() ? "; ..." : "");
}

}  // namespace

Setting cut_solver(const Recipe& recipe) {
  std::string path;
  if (const PruneRule* rule = solving_rule(recipe, path)) {
    if (make_solver(rule->solver, path)->picks_mask()) {
      throw ConfigError{{.what = fmt::format("the solver {} chooses single weights, and a cut removes whole units", split_name(rule->solver, path).name),
                         .where = fmt::format("{} ({})", rule->solver.mark().text(), path),
                         .fix = "use solver: least_squares, which a cut with calibration data has by default"}};
    }
    return rule->solver;
  }
  const bool solves = recipe.repair == "least_squares" || (recipe.repair == "auto" && has_data(recipe));
  return Setting(solves ? "least_squares" : "none");
}

bool wants_cut_repair(const Recipe& recipe) { return recipe.repair == "statistics" || !is_none(cut_solver(recipe)); }

Correction repair_cut(const ModelFile& file, const Recipe& recipe, const std::string& folder, bool resume, const Decisions& decisions) {
  const CutPlan& plan = *decisions.cut;
  const DataSource calibration = open_calibration(file, recipe, "repair after a cut", kCorrectionSamples);
  const Setting solver = cut_solver(recipe);
  CorrectionTask task;
  task.held = plan.masks;
  for (PrunableTensor& tensor : find_tensors(file)) {
    const bool linear = tensor.op == "Conv" || tensor.op == "ConvTranspose" || tensor.op == "Gemm" || tensor.op == "MatMul";
    if (tensor.kind != "weight" || !linear || tensor.nested || plan.cut.edits.removed_tensors.contains(tensor.id)) continue;
    const auto mask = plan.masks.find(tensor.id);
    LayerTask layer{.pattern = Setting("channel"),
                    .mask = mask == plan.masks.end() ? BitMask(tensor.count()) : mask->second,
                    .solver = solver,
                    .solver_path = "repair"};
    layer.keep = layer.mask.kept();
    task.held.erase(tensor.id);
    layer.tensor = std::move(tensor);
    task.layers.push_back(std::move(layer));
  }
  task.calibration = &calibration;
  task.threads = recipe.threads;
  task.device = recipe.device == "auto" ? "cpu" : recipe.device;
  task.repair_statistics = recipe.repair == "statistics";
  task.warn_unsolved = false;
  task.state_folder = state_folder(folder);
  task.fingerprint = correction_fingerprint(file, recipe, removal_of(plan));
  task.resume = resume;
  load_module("torch");
  Correction correction = Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, task);
  if (std::string text = unsolved(correction, task); !text.empty()) correction.warnings.push_back(std::move(text));
  return correction;
}

}  // namespace sparsify
