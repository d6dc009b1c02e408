#include "pipeline/cut_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/names.h"
#include "pipeline/block_choice.h"
#include "pipeline/cut_choice.h"
#include "pipeline/cut_limits.h"
#include "pipeline/cut_repair.h"
#include "pipeline/cut_rule.h"
#include "pipeline/cut_scope.h"
#include "pipeline/cut_scores.h"
#include "pipeline/cut_training.h"
#include "pipeline/evidence_stage.h"
#include "pipeline/reconstruction_scores.h"

namespace sparsify {
namespace {

constexpr const char* kTaken = "a later rule selects all that it selects";

class Planner {
 public:
  /// `evidence` may be null where no criterion needs data.
  Planner(const ModelFile& file, const CutRequest& request, EvidenceStage* evidence, const Recipe* recipe = nullptr)
      : file_(file), recipe_(recipe), evidence_(evidence) {
    plan_.structure = std::make_shared<const Structure>(Structure::analyse(file, {.inputs = request.inputs}));
    plan_.removed = request.zeros == nullptr ? plan_.structure->nothing_removed() : zero_units(*request.zeros, *plan_.structure);
    counts_zeros_ = request.zeros != nullptr;
    costs_ = std::make_unique<CutCosts>(file, *plan_.structure, request.inputs);
    scope_ = std::make_unique<CutScope>(file, *plan_.structure);
    for (const ValueInfo& input : file.model().graph.inputs) {
      if (request.inputs.contains(input.name)) continue;
      plan_.sizes_stated = plan_.sizes_stated && input.shape.has_value();
      for (size_t axis = 1; input.shape && axis < input.shape->size(); ++axis) {
        plan_.sizes_stated = plan_.sizes_stated && (*input.shape)[axis].size >= 0;
      }
    }
  }

  /// Refuses a rule that selects nothing, before any data is read.
  void check(const std::vector<CutRule>& rules) const {
    for (const CutRule& rule : rules) scope_->check(rule);
  }

  /// Of each rule what no later one selects.
  void apply(const std::vector<CutRule>& rules, uint64_t seed) {
    for (size_t i = 0; i < rules.size(); ++i) {
      const std::span<const CutRule> later = std::span(rules).subspan(i + 1);
      if (rules[i].kind == "layer") remove_layers(rules[i], later, seed);
      else remove_units(rules[i], later, seed);
    }
  }

  ScoredGroups scores(const std::vector<CutRule>& rules, uint64_t seed) {
    ScoredGroups all{.structure = plan_.structure};
    for (size_t i = 0; i < rules.size(); ++i) {
      const std::vector<size_t> groups = scope_->groups(rules[i], std::span(rules).subspan(i + 1));
      if (groups.empty()) continue;
      GroupScorer scorer = scorer_for(rules[i], seed);
      const auto reconstruction = reconstruct_(rules[i], groups, scorer);
      all.scores.merge(scorer.score(groups, plan_.removed));
    }
    all.warnings = plan_.warnings;
    return all;
  }

  void replay(const std::vector<KeptUnits>& groups, const std::vector<std::string>& blocks) {
    for (const KeptUnits& kept : groups) {
      const auto& all = plan_.structure->groups();
      const auto group = std::find_if(all.begin(), all.end(), [&](const Group& one) { return one.name == kept.group && one.units == kept.units; });
      if (group == all.end()) throw_other_graph(fmt::format("group \"{}\" of {} units", kept.group, kept.units));
      std::vector<bool>& removed = plan_.removed[static_cast<size_t>(group->id)];
      removed.assign(removed.size(), true);
      for (const int64_t unit : kept.kept) {
        if (unit < 0 || unit >= kept.units) throw_other_graph(fmt::format("unit {} of \"{}\"", unit, kept.group));
        removed[static_cast<size_t>(unit)] = false;
      }
      for (size_t unit = 0; unit < removed.size(); ++unit) {
        if (removed[unit] && group->unit_frozen[unit]) throw_other_graph(fmt::format("unit {} of \"{}\", free to go,", unit, kept.group));
      }
    }
    const std::vector<Block> all = find_blocks(file_, *plan_.structure);
    for (const std::string& name : blocks) {
      const auto block = std::find_if(all.begin(), all.end(), [&](const Block& one) { return one.name == name; });
      if (block == all.end()) throw_other_graph(fmt::format("block \"{}\"", name));
      plan_.blocks.push_back(*block);
    }
  }

  /// By the kind of the groups, where no rule has said it.
  void name_patterns() {
    for (const Group& group : plan_.structure->groups()) {
      const std::vector<bool>& removed = plan_.removed[static_cast<size_t>(group.id)];
      if (std::find(removed.begin(), removed.end(), true) == removed.end()) continue;
      for (const Member& member : group.members) plan_.patterns[member.tensor_id] = group.kind;
    }
  }

  CutPlan finish() {
    invariant(!plan_.structure->empties(plan_.removed), "every group keeps a unit");
    plan_.cut = cut(file_, *plan_.structure, plan_.removed);
    remove_blocks_(file_, plan_.blocks, plan_.cut.edits);
    std::erase_if(plan_.cut.tensors, [&](const TensorCut& tensor) { return plan_.cut.edits.removed_tensors.contains(tensor.id); });
    plan_.masks = cut_masks(file_, *plan_.structure, plan_.removed);
    for (const Block& block : plan_.blocks) {
      for (const int id : block.silenced) plan_.masks[id] = BitMask(element_count(file_.tensor(id).shape), /*kept=*/false);
    }
    plan_.before = costs_->figures(plan_.structure->nothing_removed());
    plan_.after = costs_->figures(plan_.removed, gone_with(plan_.blocks));
    for (const TensorCut& tensor : plan_.cut.tensors) plan_.patterns.try_emplace(tensor.id, "channel");
    return std::move(plan_);
  }

 private:
  [[noreturn]] void throw_other_graph(const std::string& what) const {
    throw ResourceError{{.what = fmt::format("the plan is for another graph: the model has no {}", what),
                         .where = file_.path(),
                         .fix = "use a checkpoint of the graph that the plan was made for, or prune this model anew"}};
  }

  GroupScorer::WeightScores scores_of(const CutRule& rule, uint64_t seed) {
    return weight_scores(file_, *plan_.structure, *scope_, rule, seed, evidence_, plan_.warnings);
  }

  GroupScorer scorer_for(const CutRule& rule, uint64_t seed) {
    return GroupScorer(file_, *plan_.structure, rule.criterion, rule.options, seed, scores_of(rule, seed), rule.plugin && rule.plugin->is_per_channel());
  }

  /// Lets what a rule says of reconstruction score its groups; null for other criteria. The result must outlive the scorer's work.
  std::unique_ptr<ReconstructionScores> reconstruct_(const CutRule& rule, const std::vector<size_t>& groups, GroupScorer& scorer) {
    if (rule.criterion != "reconstruction") return nullptr;
    auto scores = std::make_unique<ReconstructionScores>(file_, *recipe_, *plan_.structure, *costs_, rule.budget ? rule.budget->kind : "", groups, plan_.removed, rule.samples);
    scorer.set_unit_scores_([&scores = *scores](size_t group, const Removed& removed) { return scores.score(group, removed); });
    return scores;
  }

  void remove_units(const CutRule& rule, std::span<const CutRule> later, uint64_t seed) {
    const Structure& structure = *plan_.structure;
    const std::vector<size_t> cuttable = scope_->groups(rule, later);
    if (cuttable.empty()) return warn_of_nothing(rule, kTaken);
    GroupScorer scorer = scorer_for(rule, seed);
    CutChoice::Task task{.options = rule.options, .min_density = rule.rule->min_density, .sparsity = rule.sparsity, .budget = "", .where = place(rule)};
    const auto reconstruction = reconstruct_(rule, cuttable, scorer);
    for (const auto& [index, scores] : scorer.score(cuttable, plan_.removed)) {
      if (!scores.empty()) {
        task.groups.push_back(index);
        continue;
      }
      const std::string why = fmt::format("{} says nothing of it{}", rule.criterion, reconstruction ? " (" + reconstruction->notes().at(index) + ")" : "");
      plan_.warnings.push_back(fmt::format("group \"{}\" is left alone: {}", structure.groups()[index].name, why));
      for (const Member& member : structure.groups()[index].members) plan_.unscored.try_emplace(member.tensor_id, why);
    }
    if (task.groups.empty() && !rule.plugin && !reconstruction) {  // of the others weight_scores() says it, before it collects
      refuse_setting(rule.rule->criterion.mark(), rule.path + ".criterion",
                     fmt::format("the criterion {} can score no group: \"{}\" has nothing that it looks at", rule.criterion, structure.groups()[cuttable.front()].name),
                     "choose a criterion that scores every kind of layer: magnitude, taylor");
    }
    if (rule.budget) {
      task.budget = rule.budget->kind;
      const int64_t before = costs_->cost(task.budget, structure.nothing_removed());
      task.limit = static_cast<int64_t>(std::floor(rule.budget->fraction * static_cast<double>(before) + 1e-9));
    }
    const Removed before = plan_.removed;
    plan_.removed = CutChoice(structure, *costs_, scorer).choose(task, before, counts_zeros_ ? structure.nothing_removed() : before);
    if (plan_.removed == before) warn_of_nothing(rule, task.groups.empty() ? "no group has scores" : why_nothing(structure, task, before));
    for (const size_t index : task.groups) {
      const bool cut = plan_.removed[index] != before[index];
      for (const Member& member : structure.groups()[index].members) {
        if (cut) plan_.patterns[member.tensor_id] = rule.kind;
        else plan_.patterns.try_emplace(member.tensor_id, rule.kind);
      }
    }
  }

  std::string place(const CutRule& rule) const { return fmt::format("{} ({}.sparsity)", rule.rule->sparsity.mark().text(), rule.path); }

  void warn_of_nothing(const CutRule& rule, const std::string& why) {
    plan_.warnings.push_back(fmt::format("the rule {} (pattern {}) removes nothing: {}", rule.path, rule.kind, why));
  }

  /// Mean score of the weights of a block.
  double score_of(const Block& block, const CutRule& rule, const GroupScorer::WeightScores& weights) const {
    double sum = 0;
    int64_t count = 0;
    std::vector<float> buffer;
    for (const int id : block.tensors) {
      const auto found = scope_->tensors().find(id);
      if (found == scope_->tensors().end() || found->second.kind != "weight") continue;
      const ScoreView scores = weights(found->second, buffer);
      for (int64_t i = 0; i < scores.size(); ++i) sum += std::pow(std::fabs(static_cast<double>(scores[i])), rule.options.power);
      count += scores.size();
    }
    return count == 0 ? 0 : sum / (rule.options.aggregate == "sum" ? 1.0 : static_cast<double>(count));
  }

  void remove_layers(const CutRule& rule, std::span<const CutRule> later, uint64_t seed) {
    std::vector<Block> selected = scope_->blocks(rule, later);
    if (selected.empty()) return warn_of_nothing(rule, kTaken);
    const GroupScorer::WeightScores weights = scores_of(rule, seed);
    std::vector<std::pair<double, Block>> ranked;
    for (Block& block : selected) {
      const double score = score_of(block, rule, weights);
      ranked.emplace_back(score, std::move(block));
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Block> order;
    for (auto& [score, block] : ranked) {
      for (const int id : block.tensors) plan_.patterns.try_emplace(id, rule.kind);
      order.push_back(std::move(block));
    }
    const std::vector<Block> chosen = choose_blocks(rule, order, plan_.blocks, *costs_, plan_.structure->nothing_removed(), plan_.removed);
    plan_.blocks.insert(plan_.blocks.end(), chosen.begin(), chosen.end());
    if (!chosen.empty()) return;
    warn_of_nothing(rule, rule.budget ? "the budget holds already" : fmt::format("sparsity {} of {} residual blocks rounds to none", rule.sparsity, order.size()));
  }

  const ModelFile& file_;
  const Recipe* recipe_;  ///< null: no data
  EvidenceStage* evidence_;
  CutPlan plan_;
  std::unique_ptr<CutCosts> costs_;
  std::unique_ptr<CutScope> scope_;
  bool counts_zeros_ = false;
};

std::vector<CutRule> rules_of(const Recipe& recipe) {
  std::vector<CutRule> rules;
  for (size_t i = 0; i < recipe.prune.size(); ++i) rules.push_back(read_cut_rule(recipe, i));
  return rules;
}

}  // namespace

bool cuts(const PruneRule& rule) {
  if (rule.pattern.is_null()) return false;
  const std::string name = split_name(rule.pattern, "pattern").name;
  return name == "channel" || name == "head" || name == "layer";
}

bool cuts(const Recipe& recipe) { return std::any_of(recipe.prune.begin(), recipe.prune.end(), [](const PruneRule& rule) { return cuts(rule); }); }

CutPlan plan_cut(const ModelFile& file, const Recipe& recipe, const CutRequest& request) {
  const std::vector<CutRule> rules = rules_of(recipe);
  cut_solver(recipe);  // refused before any weight is read
  EvidenceStage evidence(file, recipe);
  Planner planner(file, request, &evidence, &recipe);
  planner.check(rules);
  planner.apply(rules, static_cast<uint64_t>(recipe.seed));
  CutPlan plan = planner.finish();
  plan.warnings.insert(plan.warnings.end(), evidence.warnings().begin(), evidence.warnings().end());
  return plan;
}

ScoredGroups score_groups(const ModelFile& file, const Recipe& recipe, const CutRequest& request) {
  const std::vector<CutRule> rules = rules_of(recipe);
  EvidenceStage evidence(file, recipe);
  Planner planner(file, request, &evidence, &recipe);
  planner.check(rules);
  ScoredGroups scored = planner.scores(rules, static_cast<uint64_t>(recipe.seed));
  scored.warnings.insert(scored.warnings.end(), evidence.warnings().begin(), evidence.warnings().end());
  return scored;
}

CutPlan plan_zero_units(const ModelFile& file, const CutRequest& request) {
  invariant(request.zeros != nullptr, "what is to be cut is held as zeros");
  Planner planner(file, request, nullptr);
  planner.name_patterns();
  return planner.finish();
}

CutPlan replay_cut(const ModelFile& file, const std::vector<KeptUnits>& groups, const std::vector<std::string>& blocks, const CutRequest& request) {
  Planner planner(file, request, nullptr);
  planner.replay(groups, blocks);
  return planner.finish();
}

std::vector<KeptUnits> kept_units(const CutPlan& plan) {
  std::vector<KeptUnits> list;
  for (const Group& group : plan.structure->groups()) {
    const std::vector<bool>& removed = plan.removed[static_cast<size_t>(group.id)];
    if (std::find(removed.begin(), removed.end(), true) == removed.end()) continue;
    KeptUnits kept{.group = group.name, .units = group.units};
    for (int64_t unit = 0; unit < group.units; ++unit) {
      if (!removed[static_cast<size_t>(unit)]) kept.kept.push_back(unit);
    }
    list.push_back(std::move(kept));
  }
  return list;
}

}  // namespace sparsify
