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
#include "pipeline/cut_training.h"
#include "pipeline/evidence_stage.h"
#include "pipeline/reconstruction_scores.h"
#include "pipeline/single_units.h"

namespace sparsify {
namespace {

constexpr const char* kTaken = "a later rule selects all that it selects";

bool matches(const std::vector<std::string>& globs, const std::vector<std::string>& names) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return glob_match(glob, name); });
  });
}

class Planner {
 public:
  /// `evidence` may be null where no criterion needs data.
  Planner(const ModelFile& file, const CutRequest& request, EvidenceStage* evidence, const Recipe* recipe = nullptr)
      : file_(file), recipe_(recipe), evidence_(evidence) {
    plan_.structure = std::make_shared<const Structure>(Structure::analyse(file, {.inputs = request.inputs}));
    plan_.removed = request.zeros == nullptr ? plan_.structure->nothing_removed() : zero_units(*request.zeros, *plan_.structure);
    counts_zeros_ = request.zeros != nullptr;
    costs_ = std::make_unique<CutCosts>(file, *plan_.structure, request.inputs);
    for (PrunableTensor& tensor : find_tensors(file)) tensors_.emplace(tensor.id, std::move(tensor));
    for (const ValueInfo& input : file.model().graph.inputs) {
      if (request.inputs.contains(input.name)) continue;
      plan_.sizes_stated = plan_.sizes_stated && input.shape.has_value();
      for (size_t axis = 1; input.shape && axis < input.shape->size(); ++axis) {
        plan_.sizes_stated = plan_.sizes_stated && (*input.shape)[axis].size >= 0;
      }
    }
  }

  /// Refuses a rule that selects nothing, before any data is read.
  void check(const CutRule& rule) const {
    if (rule.kind == "layer") selected_blocks(rule);
    else cuttable_groups(rule);
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
      const std::vector<size_t> groups = own_groups(rules[i], std::span(rules).subspan(i + 1));
      if (!groups.empty()) all.scores.merge(scorer_for(rules[i], seed).score(groups, plan_.removed));
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
    const std::vector<Block> all = find_blocks(file_, plan_.structure->graph());
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

  /// Of all weights that some group touches, collected once: what the criterion says of them does not change with the cut.
  std::shared_ptr<std::map<int, LayerEvidence>> evidence_for(const CutRule& rule) {
    if (!rule.plugin || rule.plugin->needs() == Evidence::None) return nullptr;
    if (needs(rule.plugin->needs(), Evidence::Movement)) {
      refuse_setting(rule.rule->criterion.mark(), rule.path + ".criterion", "the criterion scores what training moved, and this run does not train",
             "choose a criterion that looks at the trained weights: magnitude, taylor");
    }
    EvidenceWish wish{.kinds = rule.plugin->needs(), .options = rule.plugin->evidence_options(), .wanted_by = "the criterion " + rule.criterion};
    std::set<int> members;
    for (const Group& group : plan_.structure->groups()) {
      for (const Member& member : group.members) members.insert(member.tensor_id);
    }
    for (const Block& block : find_blocks(file_, plan_.structure->graph())) members.insert(block.tensors.begin(), block.tensors.end());
    for (const auto& [id, tensor] : tensors_) {
      if (members.contains(id) && tensor.kind == "weight" && !tensor.nested) wish.layers.push_back(tensor);
    }
    const std::vector<LayerSurroundings> surroundings = find_surroundings(file_, wish.layers);
    for (size_t i = wish.layers.size(); i-- > 0;) {
      if (!rule.plugin->refuses(wish.layers[i], surroundings[i]).empty()) wish.layers.erase(wish.layers.begin() + static_cast<std::ptrdiff_t>(i));
    }
    std::vector<LayerEvidence> found = std::move(evidence_->collect({wish}).front());
    auto all = std::make_shared<std::map<int, LayerEvidence>>();
    for (size_t i = 0; i < wish.layers.size(); ++i) {
      if (found[i].missing.empty()) all->emplace(wish.layers[i].id, std::move(found[i]));
      else plan_.warnings.push_back(fmt::format("weight \"{}\" has no say in the scores: {}", wish.layers[i].initializer, found[i].missing));
    }
    return all;
  }

  /// Empty for tensors that the criterion says nothing of.
  GroupScorer::WeightScores weight_scores(const CutRule& rule, uint64_t seed) {
    const auto evidence = evidence_for(rule);
    return [this, plugin = rule.plugin, evidence, seed, held = std::make_shared<HostTensor>(), last = std::make_shared<int>(-1)](const PrunableTensor& tensor, std::vector<float>& buffer) {
      if (evidence && !evidence->contains(tensor.id)) return ScoreView();
      *held = HostTensor();
      if (*last >= 0) file_.release_tensor_data(*last);
      *last = tensor.id;
      if (tensor.scale_id < 0) {
        *held = file_.tensor_data(tensor.id);
      } else {
        *held = HostTensor(DType::Float32, tensor.shape);
        read_weights(file_, tensor, {held->mutable_data<float>(), static_cast<size_t>(held->count())});
      }
      if (!is_prunable_float(held->type())) *held = HostTensor::of<float>(DType::Float32, tensor.shape, held->to_floats());  // integers of one scale
      require_finite(tensor, *held);
      if (evidence) return score_layer(*plugin, tensor, *held, evidence->at(tensor.id), buffer);
      if (plugin) return score_layer(*plugin, tensor, *held, LayerEvidence{.seed = seed}, buffer);
      buffer = held->to_floats();
      for (float& value : buffer) value = std::fabs(value);
      return ScoreView(buffer);
    };
  }

  std::vector<std::string> names_of(const PrunableTensor& tensor) const {
    std::vector<std::string> names = tensor.used_by;
    names.push_back(tensor.initializer);
    names.push_back(tensor.layer);
    return names;
  }

  /// A group belongs to a rule when a layer that produces its units does; one that touches an excluded weight is left alone.
  bool takes(const Selection& select, const Group& group) const {
    const bool any_op = select.ops == Selection{}.ops;  // LSTM, ConvTranspose ... are cut unless the recipe says otherwise
    bool included = false;
    for (const Member& member : group.members) {
      const auto found = tensors_.find(member.tensor_id);
      if (found == tensors_.end() || (member.role != Role::Output && member.role != Role::Input)) continue;
      const PrunableTensor& tensor = found->second;
      if (matches(select.exclude, names_of(tensor))) return false;
      const bool op = any_op || std::find(select.ops.begin(), select.ops.end(), tensor.op) != select.ops.end();
      included = included || (member.role == Role::Output && op && matches(select.include, names_of(tensor)));
    }
    return (included || matches(select.include, {group.name})) && !matches(select.exclude, {group.name});
  }

  std::vector<size_t> cuttable_groups(const CutRule& rule) const {
    const std::vector<Group>& groups = plan_.structure->groups();
    std::vector<size_t> selected;
    std::vector<size_t> cuttable;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (groups[i].kind != rule.kind || !takes(rule.rule->select, groups[i])) continue;
      selected.push_back(i);
      if (groups[i].is_cuttable()) cuttable.push_back(i);
    }
    if (cuttable.empty()) throw_nothing(rule, selected);
    if (rule.kind == "head") leave_crossing_heads_(rule.rule->select, cuttable);
    return cuttable;
  }

  /// With grouped queries, key-value heads and one query head of each of them are groups that cross: cut by half both leave a quarter. The smaller one
  /// stays unless it is named.
  void leave_crossing_heads_(const Selection& select, std::vector<size_t>& cuttable) const {
    const std::vector<Group>& groups = plan_.structure->groups();
    const auto touches = [&](size_t group, const Member& wanted) {
      return std::any_of(groups[group].members.begin(), groups[group].members.end(),
                         [&](const Member& member) { return member.tensor_id == wanted.tensor_id && member.axis == wanted.axis; });
    };
    const auto is_crossed = [&](size_t small) {
      if (std::find(select.include.begin(), select.include.end(), groups[small].name) != select.include.end()) return false;
      return std::any_of(cuttable.begin(), cuttable.end(), [&](size_t large) {
        const std::vector<Member>& members = groups[small].members;
        return groups[large].members.size() > members.size() && std::all_of(members.begin(), members.end(), [&](const Member& member) { return touches(large, member); });
      });
    };
    std::vector<size_t> rest;
    std::copy_if(cuttable.begin(), cuttable.end(), std::back_inserter(rest), [&](size_t group) { return !is_crossed(group); });
    cuttable = std::move(rest);
  }

  std::vector<size_t> own_groups(const CutRule& rule, std::span<const CutRule> later) const {
    std::vector<size_t> groups = cuttable_groups(rule);
    std::erase_if(groups, [&](size_t group) {
      return std::any_of(later.begin(), later.end(), [&](const CutRule& other) { return other.kind == rule.kind && takes(other.rule->select, plan_.structure->groups()[group]); });
    });
    return groups;
  }

  GroupScorer scorer_for(const CutRule& rule, uint64_t seed) {
    return GroupScorer(file_, *plan_.structure, rule.criterion, rule.options, seed, weight_scores(rule, seed), rule.plugin && rule.plugin->is_per_channel());
  }

  void remove_units(const CutRule& rule, std::span<const CutRule> later, uint64_t seed) {
    const Structure& structure = *plan_.structure;
    const std::vector<size_t> cuttable = own_groups(rule, later);
    if (cuttable.empty()) return warn_of_nothing(rule, kTaken);
    GroupScorer scorer = scorer_for(rule, seed);
    CutChoice::Task task{.options = rule.options, .min_density = rule.rule->min_density, .sparsity = rule.sparsity, .budget = "", .where = place(rule)};
    std::optional<ReconstructionScores> reconstruction;
    if (rule.criterion == "reconstruction") {
      reconstruction.emplace(file_, *recipe_, structure, *costs_, rule.budget ? rule.budget->kind : "", cuttable, plan_.removed, rule.samples);
      scorer.set_unit_scores_([&](size_t group, const Removed& removed) { return reconstruction->score(group, removed); });
    }
    for (const auto& [index, scores] : scorer.score(cuttable, plan_.removed)) {
      if (!scores.empty()) {
        task.groups.push_back(index);
        continue;
      }
      const std::string why = fmt::format("{} says nothing of it{}", rule.criterion, reconstruction ? " (" + reconstruction->notes().at(index) + ")" : "");
      plan_.warnings.push_back(fmt::format("group \"{}\" is left alone: {}", structure.groups()[index].name, why));
      for (const Member& member : structure.groups()[index].members) plan_.unscored.try_emplace(member.tensor_id, why);
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

  [[noreturn]] void throw_nothing(const CutRule& rule, const std::vector<size_t>& selected) const {
    const Selection& select = rule.rule->select;
    std::vector<std::string> names;
    for (const Group& group : plan_.structure->groups()) {
      if (group.kind == rule.kind) names.push_back(group.name);
    }
    if (names.empty()) {
      refuse_setting(rule.rule->mark, rule.path, fmt::format("the model has no {} that can be told apart", rule.kind), "see `sparsify why MODEL LAYER`, or use another pattern");
    }
    std::vector<Group> groups;
    for (const size_t index : selected) groups.push_back(plan_.structure->groups()[index]);
    for (Group& group : single_units(find_tensors(file_), plan_.structure->groups())) {
      if (group.kind == rule.kind && takes(select, group)) groups.push_back(std::move(group));
    }
    if (!groups.empty()) {
      std::vector<std::string> reasons;
      for (const Group& group : groups) {
        const std::string why = group.units < 2 ? "it has a single unit" : group.frozen.empty() ? "all its units are frozen" : group.frozen.front().reason;
        if (reasons.size() < 3) reasons.push_back(fmt::format("\"{}\": {}", group.name, why));
      }
      const std::string which = groups.size() == 1 ? "the selected group cannot be cut" : fmt::format("none of the {} selected groups can be cut", groups.size());
      refuse_setting(rule.rule->mark, rule.path, fmt::format("{} ({})", which, join(reasons, "; ")),
             "select others; `sparsify why MODEL LAYER` says what would change that");
    }
    const std::string nearest = select.include.empty() ? "" : closest_name(select.include.front(), names);
    refuse_setting(rule.rule->mark, rule.path, fmt::format("rule selects no group (include {}; exclude {})", join(select.include), select.exclude.empty() ? "nothing" : join(select.exclude)),
           nearest.empty() ? "widen the globs; `sparsify inspect MODEL --groups` lists the groups" : fmt::format("did you mean \"{}\"?", nearest));
  }

  /// Mean score of the weights of a block.
  double score_of(const Block& block, const CutRule& rule, const GroupScorer::WeightScores& weights) const {
    double sum = 0;
    int64_t count = 0;
    std::vector<float> buffer;
    for (const int id : block.tensors) {
      const auto found = tensors_.find(id);
      if (found == tensors_.end() || found->second.kind != "weight") continue;
      const ScoreView scores = weights(found->second, buffer);
      for (int64_t i = 0; i < scores.size(); ++i) sum += std::pow(std::fabs(static_cast<double>(scores[i])), rule.options.power);
      count += scores.size();
    }
    return count == 0 ? 0 : sum / (rule.options.aggregate == "sum" ? 1.0 : static_cast<double>(count));
  }

  static bool takes(const Selection& select, const Block& block, const ModelFile& file) {
    std::vector<std::string> names = block.labels;
    for (const int id : block.tensors) names.push_back(file.tensor(id).name);
    return matches(select.include, names) && !matches(select.exclude, names);
  }

  std::vector<Block> selected_blocks(const CutRule& rule) const {
    const Selection& select = rule.rule->select;
    std::vector<Block> selected;
    std::vector<std::string> names;
    for (Block& block : find_blocks(file_, plan_.structure->graph())) {
      names.push_back(block.name);
      if (takes(select, block, file_)) selected.push_back(std::move(block));
    }
    if (selected.empty()) {
      const std::string nearest = closest_name(select.include.empty() ? "" : select.include.front(), names);
      refuse_setting(rule.rule->mark, rule.path,
                     names.empty() ? "the model has no residual block that can be replaced by its shortcut" : "the rule selects no residual block",
                     names.empty() ? "use the pattern channel" : nearest.empty() ? "blocks are named by their Add: " + join(names) : fmt::format("did you mean \"{}\"?", nearest));
    }
    // A sum inside a normalisation has no weights that multiply: it is offered where there is nothing else.
    const auto has_weights = [&](const Block& block) {
      return std::any_of(block.tensors.begin(), block.tensors.end(), [&](int id) { return tensors_.contains(id) && tensors_.at(id).kind == "weight"; });
    };
    if (std::any_of(selected.begin(), selected.end(), has_weights)) std::erase_if(selected, [&](const Block& block) { return !has_weights(block); });
    return selected;
  }

  void remove_layers(const CutRule& rule, std::span<const CutRule> later, uint64_t seed) {
    std::vector<Block> selected = selected_blocks(rule);
    std::erase_if(selected, [&](const Block& block) {
      return std::any_of(later.begin(), later.end(), [&](const CutRule& other) { return other.kind == "layer" && takes(other.rule->select, block, file_); });
    });
    if (selected.empty()) return warn_of_nothing(rule, kTaken);
    const GroupScorer::WeightScores weights = weight_scores(rule, seed);
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
  std::map<int, PrunableTensor> tensors_;
  bool counts_zeros_ = false;
};

}  // namespace

bool cuts(const PruneRule& rule) {
  if (rule.pattern.is_null()) return false;
  const std::string name = split_name(rule.pattern, "pattern").name;
  return name == "channel" || name == "head" || name == "layer";
}

bool cuts(const Recipe& recipe) { return std::any_of(recipe.prune.begin(), recipe.prune.end(), [](const PruneRule& rule) { return cuts(rule); }); }

CutPlan plan_cut(const ModelFile& file, const Recipe& recipe, const CutRequest& request) {
  std::vector<CutRule> rules;
  for (size_t i = 0; i < recipe.prune.size(); ++i) rules.push_back(read_cut_rule(recipe, i));
  cut_solver(recipe);  // refused before any weight is read
  EvidenceStage evidence(file, recipe);
  Planner planner(file, request, &evidence, &recipe);
  for (const CutRule& rule : rules) planner.check(rule);
  planner.apply(rules, static_cast<uint64_t>(recipe.seed));
  CutPlan plan = planner.finish();
  plan.warnings.insert(plan.warnings.end(), evidence.warnings().begin(), evidence.warnings().end());
  return plan;
}

ScoredGroups score_groups(const ModelFile& file, const Recipe& recipe, const CutRequest& request) {
  std::vector<CutRule> rules;
  for (size_t i = 0; i < recipe.prune.size(); ++i) rules.push_back(read_cut_rule(recipe, i));
  EvidenceStage evidence(file, recipe);
  Planner planner(file, request, &evidence, &recipe);
  for (const CutRule& rule : rules) planner.check(rule);
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
