#include "pipeline/allocation_stage.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "allocators/checked_allocator.h"
#include "allocators/damage_curve.h"
#include "base/error.h"
#include "base/names.h"
#include "config/precision.h"
#include "config/solver_name.h"
#include "criteria/criterion.h"
#include "mask/score_sign.h"
#include "pipeline/calibration.h"
#include "pipeline/size_budget.h"
#include "pipeline/trial.h"

namespace sparsify {
namespace {

/// Enough to rank a handful of allocations.
constexpr int64_t kTrialSamples = 256;

/// A layer with less than this share of the average density is worth a warning.
constexpr double kThinLayer = 0.1;

std::string name_of_allocation(const PruneRule& rule) { 
  if (!rule.allocation.is_null()) return split_name(rule.allocation, "").name;
  return solver_name(rule) == "none" ? "global" : "uniform";  // as decide.cpp chooses
}

}  // namespace

UnitLimits limits_of(const Recipe& recipe, size_t rule, const PrunableTensor& layer, int64_t units) {
  const DensityLimits& limits_given = recipe.prune[rule].limits;
  double least = recipe.prune[rule].min_density;
  double most = limits_given.max_density;
  for (const DensityLimit& limit : limits_given.by_layer) {
    if (!glob_match(limit.layers, layer.layer) && !glob_match(limit.layers, layer.initializer)) continue;
    least = limit.min;
    most = limit.max;
  }
  const auto count = static_cast<double>(layer.count());
  const double per_weight = static_cast<double>(units) / std::max(count, 1.0);
  UnitLimits limits{.floor = 0, .ceiling = std::min(units, static_cast<int64_t>(std::floor(most * count * per_weight + 1e-9)))};
  if (least > 0) {
    const double weights = std::max(least * count, static_cast<double>(layer.output_channels()));
    limits.floor = std::min(units, static_cast<int64_t>(std::ceil(weights * per_weight - 1e-9)));
  }
  limits.ceiling = std::max(limits.ceiling, limits.floor);
  return limits;
}

void require_allocatable(const Recipe& recipe, const PruneRule& rule, const Criterion& criterion, const Allocator& allocator, const std::string& path) {
  const std::optional<SparsityBudget> budget = budget_of(rule);
  if (budget && (budget->kind == "latency" || budget->kind == "memory")) {
    const char* reason = budget->kind == "latency" ? "zeros alone make no runtime faster" : "zeros alone make no activation smaller";
    throw ConfigError{{.what = fmt::format("a budget of {} needs a pattern that removes channels: {}", budget->kind, reason),
                       .where = fmt::format("{} ({}.sparsity)", rule.sparsity.mark().text(), path),
                       .fix = "give a budget of params, macs or bytes, or a number in [0, 1)"}};
  }
  const auto* sign = dynamic_cast<const SignedScores*>(&criterion);
  if (sign != nullptr && sign->may_be_negative() && dynamic_cast<const UnsignedScoresOnly*>(&allocator) != nullptr) {
    throw ConfigError{{.what = fmt::format("the criterion {} scores below zero too, and the allocation {} takes no such scores",
                                           split_name(rule.criterion, "").name, name_of_allocation(rule)),
                       .where = fmt::format("{} ({}.allocation)", rule.allocation.mark().text(), path),
                       .fix = "use a criterion without negative scores, such as magnitude, or allocation: global"}};
  }
  if (!allocator.needs_damage() || recipe.data.contains("calibration") || recipe.data.contains("train")) return;
  throw ConfigError{{.what = fmt::format("the allocation {} tries on calibration data, and none is given", name_of_allocation(rule)),
                     .where = fmt::format("{} ({}.allocation)", rule.allocation.mark().text(), path),
                     .fix = "give training data: --train-data FORMAT:PATH,..., or data.calibration in the recipe; labels are not needed"}};
}

Budget allocate(const ModelFile& file, const Recipe& recipe, const PruneRule& rule, const Allocator& given, AllocationTask& task,
                const std::string& path, std::vector<std::string>& notes) {
  const Mark& mark = rule.allocation.is_null() ? rule.mark : rule.allocation.mark();
  const CheckedAllocator allocator(given, {.family = Allocator::kFamily, .name = name_of_allocation(rule), .where = fmt::format("{} ({}.allocation)", mark.text(), path)});
  task.notes = &notes;
  std::optional<Trial> trial;
  if (allocator.needs_damage()) {
    const DataSource data = open_calibration(file, recipe, "the allocation " + name_of_allocation(rule));
    trial.emplace(file, data,
                  TrialOptions{.metric = "auto",
                               .session = {.threads = static_cast<int>(recipe.threads), .device = recipe.device,
                                           .bfloat16 = precision_of(recipe) == "bf16"},
                               .samples = kTrialSamples});
    const bool scores = trial->dense().divergence.has_value();
    task.damage_name = fmt::format("{} over {} samples of {}", scores ? "divergence from the dense outputs (KL, nats)" : "relative error of the outputs",
                                   trial->samples(), data.describe());
    task.damage = [&](const Budget& budget) {
      std::map<int, BitMask> masks;
      for (size_t i = 0; i < budget.size(); ++i) masks.emplace(task.layers[i].id, task.select(i, budget[i]));
      const Damage damage = trial->measure(masks);
      return scores ? *damage.divergence : damage.relative_error;
    };
  }
  Budget chosen;
  if (const auto budget = budget_of(rule)) {
    const SizeBudget size(file, task, *budget, fmt::format("{} ({}.sparsity)", rule.sparsity.mark().text(), path));
    if (allocator.needs_damage()) {
      task.fit = [&](const Allocator& other) { return size.fit(other, task); };
      chosen = allocator.allocate(task);
      int64_t kept = 0;
      int64_t all = 0;
      for (size_t i = 0; i < chosen.size(); ++i) {
        kept += chosen[i];
        all += task.units[i];
      }
      task.sparsity = 1 - static_cast<double>(kept) / static_cast<double>(all);
    } else {
      chosen = size.fit(allocator, task);
    }
    notes.push_back(size.describe(task, chosen));
  } else {
    chosen = allocator.allocate(task);
  }
  task.damage = nullptr;  // they refer to what ends here
  task.fit = nullptr;
  task.notes = nullptr;
  return chosen;
}

std::vector<std::string> table_warnings(const ModelFile& given, const Recipe& recipe) {
  std::vector<std::string> warnings;
  for (const PruneRule& rule : recipe.prune) {
    if (rule.allocation.is_null()) continue;
    const NamedOptions allocation = split_name(rule.allocation, "allocation");
    const Setting path = allocation.name == "sensitivity" ? allocation.options.value("table", "") : Setting();
    if (!path.is_text()) continue;
    const DamageOrigin origin = read_damage_origin(path.text());
    if (!origin.sha256.empty() && origin.sha256 != given.sha256()) {
      warnings.push_back(fmt::format("\"{}\" was measured on another model file: what its layers can lose is that model's", path.text()));
    }
    const std::string own = split_name(rule.criterion, "criterion").name;
    if (!origin.criterion.empty() && origin.criterion != own) {
      warnings.push_back(fmt::format("\"{}\" was measured with the criterion {}, and the rule's is {}: other weights go", path.text(), origin.criterion, own));
    }
  }
  return warnings;
}

std::vector<std::string> allocation_warnings(const PruneRule& rule, const AllocationTask& task, const Budget& budget) {
  std::vector<std::string> warnings;
  int64_t units = 0;
  int64_t floors = 0;
  int64_t ceilings = 0;
  for (size_t i = 0; i < budget.size(); ++i) {
    units += task.units[i];
    floors += task.floors[i];
    ceilings += task.ceiling(i);
    const std::string& layer = task.layers[i].layer;
    if (task.units[i] > 0 && budget[i] == 0) {
      warnings.push_back(fmt::format("layer \"{}\" keeps nothing: its output does not depend on its input any more; min_density prevents it", layer));
    } else if (task.floors[i] > 0 && budget[i] == task.floors[i] && task.floors[i] < task.units[i]) {
      warnings.push_back(fmt::format("layer \"{}\" is held at its floor: {} of {} kept; without min_density it would keep fewer and may collapse",
                                     layer, budget[i], task.units[i]));
    } else if (static_cast<double>(budget[i]) < kThinLayer * (1 - task.sparsity) * static_cast<double>(task.units[i])) {
      warnings.push_back(fmt::format("layer \"{}\" keeps {:.1f} % where the average is {:.1f} %: compare allocation: uniform or lamp, or criterion: "
                                     "{{name: magnitude, normalise: layer}}",
                                     layer, 100.0 * static_cast<double>(budget[i]) / static_cast<double>(task.units[i]), 100 * (1 - task.sparsity)));
    }
  }
  if (name_of_allocation(rule) == "uniform") return warnings;
  const int64_t wanted = kept_count(units, task.sparsity);
  if (floors > wanted) warnings.push_back(fmt::format("the floors keep {} instead of {}: less sparsity than asked for", floors, wanted));
  if (ceilings < wanted) warnings.push_back(fmt::format("the ceilings keep {} instead of {}: more sparsity than asked for", ceilings, wanted));
  return warnings;
}

}  // namespace sparsify
