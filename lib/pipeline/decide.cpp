#include "pipeline/decide.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "allocators/allocator.h"
#include "allocators/budget_warnings.h"
#include "base/error.h"
#include "base/names.h"
#include "base/plugin_call.h"
#include "config/plugin_name.h"
#include "config/solver_name.h"
#include "criteria/checked_scores.h"
#include "patterns/checked_mask.h"
#include "pipeline/allocation_stage.h"
#include "pipeline/calibration.h"
#include "pipeline/channel_scores.h"
#include "pipeline/evidence_stage.h"
#include "pipeline/stored_weights.h"
#include "schedules/schedule.h"
#include "solvers/solver.h"

namespace sparsify {
namespace {

/// The plugins of one rule, with all their options checked.
struct RulePlugins {
  std::unique_ptr<Criterion> criterion;
  std::unique_ptr<Pattern> pattern;
  std::unique_ptr<Allocator> allocator;  ///< null where the pattern fixes the density
  std::optional<double> sparsity;
};

template <class Interface>
std::unique_ptr<Interface> make_plugin(const Setting& setting, const std::string& path) {
  const NamedOptions named = split_name(setting, path);
  if (!Registry<Interface>::instance().contains(named.name)) {
    throw ConfigError{{.what = fmt::format("no {} is named \"{}\"", Interface::kFamily, named.name),
                       .where = fmt::format("{} ({})", setting.mark().text(), path),
                       .fix = suggest(named.name, Registry<Interface>::instance().names())}};
  }
  auto plugin = call_plugin(plugin_name<Interface>(setting, path), [&] { return Registry<Interface>::instance().make(named.name, named.options); });
  named.options.reject_unread();
  return plugin;
}

[[noreturn]] void refuse(const Mark& mark, const std::string& path, std::string what, std::string fix) {
  throw ConfigError{{.what = std::move(what), .where = fmt::format("{} ({})", mark.text(), path), .fix = std::move(fix)}};
}

bool divides_by_error(const PruneRule& rule) {
  return !rule.allocation.is_null() && split_name(rule.allocation, "allocation").name == "reconstruction";
}

/// What the recipe says, or the default: reconstruction makes up for uniform sparsity better than for what one ranking leaves.
Setting allocation_of(const PruneRule& rule) {
  if (!rule.allocation.is_null()) return rule.allocation;
  return Setting(solver_name(rule) == "none" ? "global" : "uniform");
}

/// A pattern that fixes the density keeps to limits that allow it; others it cannot honour.
void require_density(const PruneRule& rule, const Pattern& pattern, const std::string& path) {
  const PrunableTensor wide{.shape = {64, 720720}, .output_axis = 0, .input_axis = 1};  // a multiple of every M up to 16
  const double density = 1 - *pattern.fixed_sparsity(wide);
  const auto check = [&](double least, double most, const std::string& key) {
    if (least <= density + 1e-3 && most >= density - 1e-3) return;
    refuse(rule.mark, path + key, fmt::format("the pattern {} keeps {:.4g} of every layer, and {} asks for {} {:.4g}", pattern.describe(), density, key.substr(1),
                                              least > density ? "at least" : "at most", least > density ? least : most),
           "leave the layer out (select.exclude), change the limit, or choose another pattern");
  };
  check(rule.min_density, 1, ".min_density");
  check(0, rule.limits.max_density, ".max_density");
  for (const DensityLimit& limit : rule.limits.by_layer) check(limit.min, limit.max, ".density_limits");
}

/// The movement criteria score what training moves: the schedule of that name does, and what is decided before it is only how many weights
/// each layer keeps, by magnitude.
std::unique_ptr<Criterion> before_movement(const PruneRule& rule, const Recipe& recipe, const std::string& path) {
  const bool soft = split_name(rule.criterion, path).name == "soft_movement";
  const NamedOptions schedule = split_name(recipe.schedule, "schedule");
  const bool moves = schedule.name == "movement" && !recipe.train.is_null();
  const std::string wanted = soft ? "`schedule: {name: movement, soft: true}`" : "`schedule: movement`";
  if (!moves) {
    refuse(rule.criterion.mark(), path, "the criterion scores what training moved, and this run does not train by movement",
           "give " + wanted + " and `train:`, or choose a criterion that looks at the trained weights: magnitude, taylor");
  }
  if (schedule.options.flag("soft", false) != soft) {
    refuse(rule.criterion.mark(), path, fmt::format("the schedule movement is {}soft, and the criterion is {}", soft ? "not " : "", soft ? "soft_movement" : "movement"),
           "give " + wanted);
  }
  return Registry<Criterion>::instance().make("magnitude", Options());
}

RulePlugins plugins_of(const PruneRule& rule, size_t index, const Recipe& recipe) {
  const std::string path = fmt::format("prune.{}", index);
  RulePlugins plugins;
  plugins.criterion = make_plugin<Criterion>(rule.criterion, path + ".criterion");
  plugins.pattern = make_pattern(rule.pattern, path + ".pattern");
  if (needs(plugins.criterion->needs(), Evidence::Movement)) plugins.criterion = before_movement(rule, recipe, path + ".criterion");
  if (const std::string refused = refuses_scores(*plugins.pattern, *plugins.criterion); !refused.empty()) {
    refuse(rule.criterion.mark(), path + ".criterion", refused,
           "use a criterion that scores single weights (magnitude, taylor, wanda), or a pattern of whole channels or blocks");
  }
  const bool solved = solver_name(rule) != "none";
  if (solved) {
    const std::string refused = make_solver(rule.solver, path + ".solver")->refuses(*plugins.pattern);
    if (!refused.empty()) refuse(rule.solver.mark(), path + ".solver", refused, "choose another pattern or solver (`sparsify list solver`)");
  }
  if (divides_by_error(rule) && !solved) {
    refuse(rule.allocation.mark(), path + ".allocation", "the allocation reconstruction divides by the error that a solver leaves, and no solver is named",
           "name one (`solver: gradual`), or choose another allocation");
  }
  const PrunableTensor any{.shape = {64, 64}, .output_axis = 0, .input_axis = 1};
  const bool fixed = plugins.pattern->fixed_sparsity(any).has_value();
  if (fixed) {
    if (!rule.sparsity.is_null()) {
      refuse(rule.sparsity.mark(), path + ".sparsity", fmt::format("the pattern {} fixes the sparsity itself", plugins.pattern->describe()),
             "remove sparsity, or choose another pattern");
    }
    if (!rule.allocation.is_null() && split_name(rule.allocation, path + ".allocation").name != "uniform") {
      refuse(rule.allocation.mark(), path + ".allocation", fmt::format("the pattern {} leaves nothing to allocate", plugins.pattern->describe()),
             "remove allocation, or choose another pattern");
    }
    require_density(rule, *plugins.pattern, path);
    return plugins;
  }
  if (rule.sparsity.is_null()) {
    refuse(rule.mark, path + ".sparsity", "no sparsity is given", "say how much to prune: `sparsity: 0.5`, or --sparsity 0.5");
  }
  if (rule.sparsity.is_number()) {
    plugins.sparsity = rule.sparsity.number();
    if (!(*plugins.sparsity >= 0 && *plugins.sparsity < 1)) {  // a recipe's is checked; in training the schedule says it
      refuse_result(plugin_name<Schedule>(recipe.schedule, "schedule"), fmt::format("gives the sparsity {}, which is not in [0, 1)", *plugins.sparsity));
    }
  } else if (plugins.criterion->rounds() > 1) {
    refuse(rule.sparsity.mark(), path + ".sparsity", "a criterion of several rounds needs to know the sparsity that it goes to",
           "give a number in [0, 1), or a criterion of one round");
  }
  plugins.allocator = make_plugin<Allocator>(allocation_of(rule), path + ".allocation");
  return plugins;
}

/// Root mean square over at most 65,536 elements, evenly spread.
double typical_magnitude(const HostTensor& weights) {
  const std::vector<float> values = weights.count() <= 65536 ? weights.to_floats() : std::vector<float>{};
  double sum = 0;
  int64_t count = 0;
  if (!values.empty()) {
    for (const float value : values) sum += static_cast<double>(value) * value;
    count = static_cast<int64_t>(values.size());
  } else {
    std::vector<float> chunk(4096);
    for (int part = 0; part < 16; ++part) {
      weights.read_floats((weights.count() - 4096) / 15 * part, chunk);
      for (const float value : chunk) sum += static_cast<double>(value) * value;
      count += 4096;
    }
  }
  return count == 0 ? 0 : std::sqrt(sum / static_cast<double>(count));
}

class Decider {
 public:
  Decider(const ModelFile& file, const Recipe& recipe) : file_(file), recipe_(recipe), evidence_(file, recipe) {}

  void require() {
    for (const RuleTask& task : prepare()) {
      if (needs(task.wish.kinds, kFromData)) require_calibration(recipe_, task.wish.wanted_by);
    }
  }

  Decisions run() {
    std::vector<RuleTask> tasks = prepare();
    collect_evidence(tasks);
    for (RuleTask& task : tasks) decide_rule(task);
    result_.warnings.insert(result_.warnings.end(), evidence_.warnings().begin(), evidence_.warnings().end());
    std::sort(result_.decided.begin(), result_.decided.end(), [](const Decision& a, const Decision& b) {
      return std::tie(a.tensor.node_order, a.tensor.id) < std::tie(b.tensor.node_order, b.tensor.id);
    });
    return std::move(result_);
  }

 private:
  /// A rule with its layers, ready to be scored.
  struct RuleTask {
    size_t index = 0;
    const RulePlugins* plugins = nullptr;
    AllocationTask allocation{};
    std::vector<LayerEvidence> evidence{};  ///< parallel to allocation.layers
    EvidenceWish wish{};
  };

  /// Everything that can be refused without a look at data.
  std::vector<RuleTask> prepare() {
    for (size_t i = 0; i < recipe_.prune.size(); ++i) {
      plugins_.push_back(plugins_of(recipe_.prune[i], i, recipe_));
      if (plugins_[i].allocator) require_allocatable(recipe_, recipe_.prune[i], *plugins_[i].criterion, *plugins_[i].allocator, fmt::format("prune.{}", i));
    }
    Selections selections = select_tensors(find_tensors(file_), recipe_.prune);
    result_.skipped = std::move(selections.skipped);
    std::vector<RuleTask> tasks;
    for (size_t i = 0; i < plugins_.size(); ++i) tasks.push_back(task_of(i, plugins_[i], selections.selected));
    return tasks;
  }

  RuleTask task_of(size_t index, const RulePlugins& plugins, const std::vector<Selected>& selected) {
    RuleTask task{.index = index, .plugins = &plugins};
    std::vector<PrunableTensor> candidates;
    for (const Selected& one : selected) {
      if (one.rule == index) candidates.push_back(one.tensor);
    }
    const bool asks = plugins.criterion->needs() != Evidence::None;
    const std::vector<LayerSurroundings> surroundings =
        asks ? find_surroundings(file_, candidates) : std::vector<LayerSurroundings>(candidates.size());
    task.allocation.sparsity = plugins.sparsity.value_or(0);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const PrunableTensor& layer = candidates[i];
      std::string refused = plugins.pattern->refuses(layer);
      if (refused.empty()) refused = quantisation_refusal(file_, layer);
      if (refused.empty()) refused = plugins.criterion->refuses(layer, surroundings[i]);
      if (!refused.empty()) {
        result_.skipped.push_back({layer, refused});
        continue;
      }
      require_finite(layer, weights_of(file_, layer));
      add_layer(task, layer);
    }
    require_layers(task);
    const std::string name = split_name(recipe_.prune[index].criterion, "").name;
    task.wish = {.layers = task.allocation.layers,
                 .kinds = plugins.criterion->needs(),
                 .options = plugins.criterion->evidence_options(),
                 .wanted_by = "the criterion " + name};
    return task;
  }

  void add_layer(RuleTask& task, const PrunableTensor& layer) {
    const int64_t units = checked_units(*task.plugins->pattern, name_of_pattern(task), layer);
    task.allocation.layers.push_back(layer);
    task.allocation.units.push_back(units);
    const UnitLimits limits = limits_of(recipe_, task.index, layer, units);
    task.allocation.floors.push_back(limits.floor);
    task.allocation.ceilings.push_back(limits.ceiling);
  }

  PluginName name_of_criterion(const RuleTask& task) const {
    return plugin_name<Criterion>(recipe_.prune[task.index].criterion, fmt::format("prune.{}.criterion", task.index));
  }

  PluginName name_of_pattern(const RuleTask& task) const {
    const Setting& given = recipe_.prune[task.index].pattern;
    return {.family = Pattern::kFamily, .name = given.is_null() ? "unstructured" : split_name(given, "").name,
            .where = fmt::format("{} (prune.{}.pattern)", given.mark().text(), task.index)};
  }

  void require_layers(const RuleTask& task) const {
    if (!task.allocation.layers.empty()) return;
    const PruneRule& rule = recipe_.prune[task.index];
    std::string reason;
    for (const Skipped& skipped : result_.skipped) {
      if (skipped.tensor.kind == "weight" && !skipped.reason.empty()) reason = fmt::format("; \"{}\": {}", skipped.tensor.layer, skipped.reason);
    }
    refuse(rule.mark, fmt::format("prune.{}", task.index),
           fmt::format("no selected tensor can take the pattern {} with the criterion {}{}", task.plugins->pattern->describe(),
                       split_name(rule.criterion, "").name, reason),
           "see `sparsify inspect MODEL` for what each layer allows");
  }

  /// One pass over the data for all rules that score once. Layers whose evidence cannot be had are left alone, with the reason.
  void collect_evidence(std::vector<RuleTask>& tasks) {
    std::vector<EvidenceWish> wishes;
    for (const RuleTask& task : tasks) wishes.push_back(rounds_of(task) > 1 ? EvidenceWish{} : task.wish);
    std::vector<std::vector<LayerEvidence>> all = evidence_.collect(wishes);
    for (size_t t = 0; t < tasks.size(); ++t) {
      RuleTask& task = tasks[t];
      if (rounds_of(task) > 1) continue;
      const AllocationTask whole = std::move(task.allocation);
      task.allocation = AllocationTask{};
      task.allocation.sparsity = whole.sparsity;
      for (size_t i = 0; i < whole.layers.size(); ++i) {
        if (!all[t][i].missing.empty()) {
          result_.skipped.push_back({whole.layers[i], all[t][i].missing});
          result_.warnings.push_back(fmt::format("layer \"{}\" cannot be scored and is left alone: {}", whole.layers[i].layer, all[t][i].missing));
          continue;
        }
        add_layer(task, whole.layers[i]);
        task.evidence.push_back(std::move(all[t][i]));
      }
      require_layers(task);
    }
  }

  /// A pattern that fixes the density has nothing to approach in rounds.
  static int64_t rounds_of(const RuleTask& task) { return task.plugins->allocator ? task.plugins->criterion->rounds() : 1; }

  void decide_rule(RuleTask& rule_task) {
    const PruneRule& rule = recipe_.prune[rule_task.index];
    const RulePlugins& plugins = *rule_task.plugins;
    const Pattern& pattern = *plugins.pattern;
    const PluginName criterion_name = name_of_criterion(rule_task);
    const PluginName pattern_name = name_of_pattern(rule_task);
    AllocationTask& task = rule_task.allocation;
    std::vector<BitMask> masks;  // of the rounds so far
    HostTensor weights;  // of the last layer that was scored: its scores may be a view of it
    const auto scores = [&](size_t layer, std::vector<float>& buffer) {
      weights = HostTensor();
      weights = weights_of(file_, task.layers[layer]);
      if (!masks.empty() && !plugins.criterion->pruned_may_return()) weights = masked(weights, masks[layer]);
      return checked_scores(*plugins.criterion, criterion_name, task.layers[layer], weights, rule_task.evidence[layer], buffer);
    };
    std::vector<float> weight_buffer;
    task.scores = [&](size_t layer, std::vector<float>& buffer) {
      return checked_unit_scores(pattern, pattern_name, task.layers[layer], scores(layer, weight_buffer), buffer);
    };
    task.pattern = pattern.describe();
    task.select = [&](size_t layer, int64_t keep) {
      return checked_mask(pattern, pattern_name, task.layers[layer], scores(layer, weight_buffer), keep);
    };
    Budget budget(task.layers.size());
    const int64_t rounds = rounds_of(rule_task);
    const double target = task.sparsity;
    for (int64_t round = 1; round <= rounds; ++round) {
      if (rounds > 1) rule_task.evidence = evidence_.collect_round(rule_task.wish, masks);
      if (rounds > 1) require_evidence(rule_task);
      task.sparsity = round == rounds ? target : sparsity_of_round(target, round, rounds);
      if (plugins.allocator) {
        std::vector<std::string> notes;
        budget = allocate(file_, recipe_, rule, *plugins.allocator, task, fmt::format("prune.{}", rule_task.index), notes);
        if (round == rounds) result_.notes.insert(result_.notes.end(), notes.begin(), notes.end());
      }
      std::vector<BitMask> selected;
      for (size_t i = 0; i < task.layers.size(); ++i) selected.push_back(task.select(i, budget[i]));
      masks = std::move(selected);
    }
    if (plugins.allocator) {
      for (std::string& warning : allocation_warnings(rule, task, budget)) result_.warnings.push_back(std::move(warning));
    }
    if (const auto* more = dynamic_cast<const BudgetWarnings*>(plugins.allocator.get())) {
      for (std::string& warning : more->warnings(task, budget)) result_.warnings.push_back(std::move(warning));
    }
    if (plugins.allocator) warn_of_scale(rule, task);
    for (size_t i = 0; i < task.layers.size(); ++i) {
      Decision decision{.tensor = task.layers[i], .pattern = pattern.describe(), .pattern_setting = rule.pattern};
      decision.keep = budget[i];
      if (solver_name(rule) != "none") decision.solver = rule.solver;
      decision.solver_path = fmt::format("prune.{}.solver", rule_task.index);
      if (divides_by_error(rule)) decision.share = static_cast<int>(rule_task.index);
      decision.floor = task.floors[i];
      decision.mask = std::move(masks[i]);
      const std::optional<double> fixed = pattern.fixed_sparsity(task.layers[i]);
      decision.target = fixed ? fixed
                              : std::optional(1.0 - static_cast<double>(budget[i]) / static_cast<double>(std::max<int64_t>(task.units[i], 1)));
      result_.decided.push_back(std::move(decision));
    }
  }

  /// In rounds the layers are fixed: one without evidence cannot be left out any more.
  void require_evidence(const RuleTask& task) const {
    for (size_t i = 0; i < task.evidence.size(); ++i) {
      if (task.evidence[i].missing.empty()) continue;
      refuse(recipe_.prune[task.index].criterion.mark(), fmt::format("prune.{}.criterion", task.index),
             fmt::format("layer \"{}\" cannot be scored: {}", task.allocation.layers[i].layer, task.evidence[i].missing),
             "exclude the layer, or choose another criterion");
    }
  }

  static HostTensor masked(const HostTensor& weights, const BitMask& mask) {
    HostTensor copy = weights.copy();
    apply_mask_(mask, 0, copy.mutable_bytes(), bits_of(copy.type()) / 8);
    return copy;
  }

  /// Layers whose weights are far below the others' (raw 0..255 input does that to a stem) would vanish under one global ranking
  /// of magnitudes. Kept as first or last layer, such a one still deserves a word.
  void warn_of_scale(const PruneRule& rule, const AllocationTask& task) {
    const NamedOptions criterion = split_name(rule.criterion, "");
    const bool by_magnitude = criterion.name == "magnitude" && criterion.options.text("normalise", "none") == "none";
    const bool global = split_name(allocation_of(rule), "").name == "global";
    if (!by_magnitude || !global || task.layers.size() < 3) return;
    std::vector<double> typical;
    for (const PrunableTensor& layer : task.layers) typical.push_back(typical_magnitude(weights_of(file_, layer)));
    std::vector<double> sorted = typical;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<int64_t>(sorted.size() / 2), sorted.end());
    const double median = sorted[sorted.size() / 2];
    const auto note = [&](std::vector<std::string>& small, const PrunableTensor& layer, double own) {
      if (own > 0 && own * 4 <= median) small.push_back(fmt::format("\"{}\" ({:.0f} times)", layer.layer, median / own));
    };
    const auto warn = [&](const std::vector<std::string>& small, const char* consequence) {
      if (small.empty()) return;
      result_.warnings.push_back(fmt::format("the weights of {} are far smaller than those of a typical layer (is an input scaled differently?): {}",
                                             join(small), consequence));
    };
    std::vector<std::string> ranked;
    for (size_t i = 0; i < task.layers.size(); ++i) note(ranked, task.layers[i], typical[i]);
    warn(ranked, "one global ranking takes most of them; allocation: uniform or normalise: layer does not");
    std::vector<std::string> dense;
    for (const Skipped& skipped : result_.skipped) {
      if (skipped.tensor.kind != "weight" || !(skipped.tensor.first || skipped.tensor.last) || skipped.tensor.scale_id >= 0) continue;
      note(dense, skipped.tensor, typical_magnitude(file_.tensor_data(skipped.tensor.id)));
    }
    warn(dense, "one global ranking would delete them; they are kept dense");
  }

  const ModelFile& file_;
  const Recipe& recipe_;
  EvidenceStage evidence_;
  std::vector<RulePlugins> plugins_;
  Decisions result_;
};

}  // namespace

void require_decidable(const ModelFile& file, const Recipe& recipe) { Decider(file, recipe).require(); }

Decisions decide(const ModelFile& file, const Recipe& recipe) { return Decider(file, recipe).run(); }

}  // namespace sparsify
