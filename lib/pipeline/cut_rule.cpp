#include "pipeline/cut_rule.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/names.h"
#include "pipeline/elimination_samples.h"
#include "pipeline/group_scores.h"

namespace sparsify {
namespace {

void read_allocation(const PruneRule& rule, CutRule& made) {
  if (rule.allocation.is_null()) return;
  const NamedOptions named = split_name(rule.allocation, made.path + ".allocation");
  if (named.name == "uniform") made.options.scope = "layer";
  else if (named.name != "global") {
    refuse_setting(rule.allocation.mark(), made.path + ".allocation", fmt::format("the pattern {} ranks units itself, not by \"{}\"", made.kind, named.name),
           "use global or uniform, or `pattern: {" + made.kind + ": {scope: global | layer | isomorphic}}`");
  }
  named.options.reject_unread();
}

void read_criterion(const PruneRule& rule, CutRule& made) {
  const NamedOptions named = split_name(rule.criterion, made.path + ".criterion");
  made.criterion = named.name;
  if (made.criterion != "random" && GroupScorer::own_criteria().contains(made.criterion)) {
    if (made.criterion == "reconstruction") made.samples = elimination_samples(named.options);
    named.options.reject_unread();
    if (made.kind == "layer") {
      refuse_setting(rule.criterion.mark(), made.path + ".criterion", fmt::format("{} scores channels, not blocks", made.criterion), "use a criterion of weights, such as magnitude");
    }
    return;
  }
  const auto& registry = Registry<Criterion>::instance();
  if (!registry.contains(made.criterion)) {
    std::vector<std::string> names = registry.names();
    for (const auto& [name, help] : GroupScorer::own_criteria()) names.push_back(name);
    refuse_setting(rule.criterion.mark(), made.path + ".criterion", fmt::format("no criterion is named \"{}\"", made.criterion), suggest(made.criterion, names));
  }
  made.plugin = registry.make(made.criterion, named.options);
  named.options.reject_unread();
  if (made.options.power == 0) made.options.power = made.plugin->is_magnitude() ? 2 : 1;
}

}  // namespace

void refuse_setting(const Mark& mark, const std::string& path, std::string what, std::string fix) {
  throw ConfigError{{.what = std::move(what), .where = fmt::format("{} ({})", mark.text(), path), .fix = std::move(fix)}};
}

CutRule read_cut_rule(const Recipe& recipe, size_t index) {
  const PruneRule& rule = recipe.prune[index];
  CutRule made;
  made.rule = &rule;
  made.path = fmt::format("prune.{}", index);
  const auto pattern = make_pattern(rule.pattern, made.path + ".pattern");
  const auto* structured = dynamic_cast<const StructuredPattern*>(pattern.get());
  if (structured == nullptr) {
    refuse_setting(rule.pattern.mark(), made.path + ".pattern", fmt::format("{} writes zeros, another rule removes structure", pattern->describe()),
           "make two runs: cut first, then prune what is left");
  }
  made.kind = structured->name();
  made.options = structured->structured();
  const DensityLimits& limits = rule.limits;
  if (limits.max_density < 1 || !limits.by_layer.empty()) {
    refuse_setting(rule.mark, made.path + (limits.by_layer.empty() ? ".max_density" : ".density_limits"), fmt::format("the pattern {} has no density limits", made.kind),
           "give `pattern: {" + made.kind + ": {min_width: N}}`, or leave layers out with select");
  }
  read_allocation(rule, made);
  read_criterion(rule, made);
  if (rule.sparsity.is_null()) {
    refuse_setting(rule.mark, made.path + ".sparsity", "no sparsity is given", "say how much to remove: `sparsity: {macs: 0.5}`, or --sparsity 0.5");
  }
  made.budget = budget_of(rule);
  if (!made.budget) made.sparsity = rule.sparsity.number();
  if (made.budget && made.budget->kind == "latency") {
    refuse_setting(rule.sparsity.mark(), made.path + ".sparsity", "a cut is not chosen by measured latency", "give a budget of macs, params, bytes or memory");
  }
  return made;
}

}  // namespace sparsify
