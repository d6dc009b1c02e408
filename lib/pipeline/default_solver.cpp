#include "pipeline/default_solver.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/error.h"
#include "config/solver_name.h"
#include "mask/prunable.h"
#include "patterns/pattern.h"
#include "patterns/structured.h"
#include "pipeline/calibration.h"
#include "pipeline/figures.h"
#include "pipeline/relu_share.h"
#include "solvers/n_of_m_steps.h"

namespace sparsify {
namespace {

// Multiply-accumulates a second on one core, fitted to measured runs (docs/solvers.md).
constexpr double kSolvingRate = 1e10;
constexpr double kPassingRate = 1.2e10;

/// Gradual ranks by magnitude itself; another criterion was meant.
bool is_magnitude(const Setting& criterion) { return criterion.is_text() && criterion.text() == "magnitude"; }

bool cuts_anything(const Recipe& recipe) {
  for (size_t i = 0; i < recipe.prune.size(); ++i) {
    if (dynamic_cast<const StructuredPattern*>(make_pattern(recipe.prune[i].pattern, fmt::format("prune.{}.pattern", i)).get()) != nullptr) return true;
  }
  return false;
}

double density_of(const PruneRule& rule, const Pattern& pattern, const PrunableTensor& tensor) {
  if (const auto fixed = pattern.fixed_sparsity(tensor)) return 1 - *fixed;
  if (rule.sparsity.is_number()) return 1 - rule.sparsity.number();
  const auto budget = budget_of(rule);
  return budget ? budget->fraction : 1;
}

SolverLayer layer_of(const PrunableTensor& tensor, int64_t macs, double density, const Pattern& pattern) {
  SolverLayer layer{.density = density};
  const bool product = tensor.op == "MatMul" || tensor.op == "Gemm";
  layer.rows = std::max<int64_t>(1, tensor.output_channels());
  layer.columns = product && tensor.input_axis >= 0 ? tensor.shape[static_cast<size_t>(tensor.input_axis)] : std::max<int64_t>(1, tensor.count() / layer.rows);
  if (product) layer.rows = std::max<int64_t>(1, tensor.count() / layer.columns);
  layer.groups = std::max<int64_t>(1, tensor.groups);
  layer.positions = std::max<int64_t>(1, macs / std::max<int64_t>(1, tensor.count()));
  if (const auto n_of_m = parse_n_of_m(pattern.describe())) layer.steps = n_of_m_step_count(*n_of_m);
  layer.convolves = tensor.op == "Conv";
  if (layer.convolves && tensor.shape.size() == 4 && tensor.shape[2] == 3 && tensor.shape[3] == 3) layer.gram = 13.0 / 81;
  return layer;
}

/// nullopt where the shapes of a layer are not known.
std::optional<SolverWork> work_of(const ModelFile& file, const Recipe& recipe, int64_t samples, const std::map<std::string, Shape>& inputs) {
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  const MacCounts counts = count_macs(file, inputs);
  const std::set<std::string> unknown(counts.unknown.begin(), counts.unknown.end());
  if (std::any_of(tensors.begin(), tensors.end(), [&](const PrunableTensor& tensor) { return tensor.kind == "weight" && unknown.contains(tensor.layer); })) return std::nullopt;
  const std::map<std::string, int64_t>& macs = counts.by_node;
  std::vector<SolverLayer> layers;
  for (const Selected& one : select_tensors(tensors, recipe.prune).selected) {
    const PruneRule& rule = recipe.prune[one.rule];
    if (!leaves_solver_open(rule)) continue;
    int64_t own = 0;
    for (const std::string& user : one.tensor.used_by) own += macs.contains(user) ? macs.at(user) : 0;
    const auto pattern = make_pattern(rule.pattern, fmt::format("prune.{}.pattern", one.rule));
    if (!pattern->refuses(one.tensor).empty()) continue;
    layers.push_back(layer_of(one.tensor, own, density_of(rule, *pattern, one.tensor), *pattern));
  }
  const int64_t tried = leaves_relu_open(file, Setting("gradual")) ? 2 * std::min(samples, kShareSamples) : 0;
  return gradual_work(layers, samples + tried, static_cast<double>(counts.sum));
}

std::string duration(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", std::max(1.0, seconds));
  return seconds < 5400 ? fmt::format("{:.0f} minutes", seconds / 60) : fmt::format("{:.0f} hours", seconds / 3600);
}

void settle(Recipe& recipe, const char* solver) {
  for (PruneRule& rule : recipe.prune) {
    if (!leaves_solver_open(rule)) continue;
    const Mark mark = rule.solver.mark();
    rule.solver = Setting(solver);
    rule.solver.set_mark(mark);
  }
}

}  // namespace

double SolverWork::cpu_seconds() const { return solving / kSolvingRate + passing / kPassingRate; }

SolverWork gradual_work(const std::vector<SolverLayer>& layers, int64_t samples, double network_macs) {
  SolverWork work;
  const auto count = static_cast<double>(samples);
  for (const SolverLayer& layer : layers) {
    const auto rows = static_cast<double>(layer.rows);
    const auto columns = static_cast<double>(layer.columns);
    double shares = 0;
    for (int64_t step = 1; step <= layer.steps + 2; ++step) {  // the last support is solved twice more for targets in front of Relu
      const double share = std::pow(layer.density, std::min(1.0, static_cast<double>(step) / static_cast<double>(layer.steps)));
      work.solving += rows * std::pow(columns * share, 3) / 6;
      shares += share;
    }
    const double seen = count * static_cast<double>(layer.positions);
    const double refreshed = layer.convolves ? 2 * shares : 0;  // z = W x and t x^T
    work.passing += seen * columns * (columns * layer.gram * static_cast<double>(layer.groups) + rows * (1 + refreshed));
    work.bytes = std::max(work.bytes, 8 * (3 * columns * columns * static_cast<double>(layer.groups) + 6 * rows * columns));
  }
  work.passing += 2 * count * network_macs;
  return work;
}

std::string choose_solver_(Recipe& recipe, const ModelFile& file, bool rules_apply, const std::map<std::string, Shape>& inputs) {
  if (!rules_apply) return "";
  const bool open = std::any_of(recipe.prune.begin(), recipe.prune.end(), leaves_solver_open);
  const bool has_data = recipe.data.contains("calibration") || recipe.data.contains("train");
  const bool free = std::all_of(recipe.prune.begin(), recipe.prune.end(), [](const PruneRule& rule) { return !leaves_solver_open(rule) || is_magnitude(rule.criterion); });
  const bool applies = open && has_data && free && recipe.repair == "auto" && recipe.train.is_null() &&
                       split_name(recipe.schedule, "schedule").name == "one_shot" && !cuts_anything(recipe);
  if (!applies) {
    settle(recipe, "none");
    return "";
  }
  const int64_t samples = open_calibration(file, recipe, "a solver", kCorrectionSamples).size();
  const std::optional<SolverWork> work = work_of(file, recipe, samples, inputs);
  if (!work) {
    settle(recipe, "none");
    return "Solver: statistics repair, because the shapes of some layers are not known (--input NAME:SIZES states them) and the cost of gradual cannot be estimated; "
           "--solver gradual runs it all the same.";
  }
  const double seconds = work->cpu_seconds();
  if (seconds <= kSolverBudgetSeconds && work->bytes <= kSolverBudgetBytes) {
    settle(recipe, "gradual");
    return fmt::format("Solver: gradual, estimated at {} of one core for {} samples (automatic up to {}); --solver none repairs statistics instead.", duration(seconds),
                       samples, duration(kSolverBudgetSeconds));
  }
  settle(recipe, "none");
  return fmt::format("Solver: statistics repair, because gradual is estimated at {} of one core and {:.1f} GB for {} samples (automatic up to {} and {:.0f} GB); "
                     "--solver gradual runs it all the same and keeps more accuracy.",
                     duration(seconds), work->bytes / 1e9, samples, duration(kSolverBudgetSeconds), kSolverBudgetBytes / 1e9);
}

std::string solve_plan_(const Recipe& recipe, Decisions& decisions) {
  if (decisions.cut) return "";
  if (!recipe.train.is_null()) return "Plan: its masks are replayed, and held while the weights that stay are trained.";
  const PruneRule* said = nullptr;
  for (const PruneRule& rule : recipe.prune) {
    if (!leaves_solver_open(rule) && !rule.solver.mark().source.empty()) said = &rule;
  }
  const std::string named = said == nullptr ? "" : split_name(said->solver, "solver").name;
  if (said != nullptr && named != "none" && named != "least_squares") {
    throw ConfigError{{.what = fmt::format("the plan gives the masks, and the solver {} chooses its own", named),
                       .where = fmt::format("{} (solver)", said->solver.mark().text()),
                       .fix = "use least_squares, which solves on given masks, or none"}};
  }
  const bool has_data = recipe.data.contains("calibration") || recipe.data.contains("train");
  if (has_data && named != "none" && (recipe.repair == "auto" || named == "least_squares")) {
    for (Decision& decision : decisions.decided) {
      decision.solver = said == nullptr ? Setting("least_squares") : said->solver;
      decision.solver_path = "--plan";
    }
    return "Plan: its masks are replayed, and the weights that stay are solved on them anew (least_squares).";
  }
  if (named == "none" && has_data) return "Plan: its masks are replayed, and the weights that stay are this checkpoint's own (solver: none); statistics are repaired unless repair: none.";
  return "Plan: its masks are replayed, and the weights that stay are this checkpoint's own. What a solver, repair or training made of them in the planned run is not part of "
         "a plan; --train-data FORMAT:PATH solves them on these masks.";
}

}  // namespace sparsify
