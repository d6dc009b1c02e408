#include <fmt/core.h>

#include <cctype>

#include "base/error.h"
#include "base/names.h"
#include "config/recipe_parts.h"

namespace sparsify {
namespace {

Selection read_selection(const Options& select) {
  const Selection plain;
  Selection selection;
  selection.ops = select.texts("ops", plain.ops, "operator types");
  selection.include = select.texts("include", plain.include, "globs on node and initializer names");
  selection.exclude = select.texts("exclude", plain.exclude, "globs that take names out again");
  selection.kinds = select.choices("kinds", plain.kinds, {"weight", "bias", "norm", "embedding"},
                                   "what a tensor is to its operator");
  selection.first_last =
      select.flag("first_last", plain.first_last,
                  "also the first and last layers, which are otherwise left alone");
  selection.depthwise =
      select.flag("depthwise", plain.depthwise,
                  "also depthwise convolutions, which are otherwise left alone: few weights, costly to lose");
  return selection;
}

/// A plugin's value, or the default; its shape is checked here, its name and options by its family.
Setting read_plugin(const Options& options, std::string_view key, const Setting& otherwise,
                    std::string_view help, const std::string& path) {
  Setting value = options.value(key, help);
  if (value.is_null()) return otherwise;
  split_name(value, path);
  return value;
}

/// What a rule of this pattern takes; all of them where the pattern is not known.
std::vector<std::string> budgets_of(const std::string& pattern) {
  if (pattern.empty()) return budget_kinds();
  if (pattern == "channel" || pattern == "head" || pattern == "layer") return {"macs", "params", "bytes", "memory"};
  return {"macs", "params", "bytes"};
}

SparsityBudget read_budget(const Setting& map, const std::string& path, const std::string& pattern = "") {
  const Options options(map, path);
  SparsityBudget budget;
  std::vector<std::string> given;
  for (const std::string& kind : budget_kinds()) {
    const auto fraction = options.optional_number(kind, {.min = 0, .max = 1, .above_min = true});
    if (!fraction) continue;
    given.push_back(kind);
    budget.kind = kind;
    budget.fraction = *fraction;
  }
  budget.runtime = options.text("runtime", "");
  options.reject_unread();
  if (given.size() != 1) {
    throw ConfigError{{.what = given.empty() ? "the budget names nothing"
                                             : "the budget names " + join(given, " and "),
                       .where = options.where(given.empty() ? "" : given.back()),
                       .fix = "give one of: " + join(budgets_of(pattern))}};
  }
  if (!budget.runtime.empty() && budget.kind != "latency") {
    throw ConfigError{{.what = fmt::format("a budget of {} names the runtime \"{}\"", budget.kind,
                                           budget.runtime),
                       .where = options.where("runtime"),
                       .fix = "remove runtime, or set a budget of latency"}};
  }
  return budget;
}

Setting read_sparsity(const Options& rule, const std::string& path, const Setting& pattern) {
  Setting value =
      rule.value("sparsity", "fraction of zeros in [0, 1), or a budget such as {macs: 0.5}");
  if (value.is_null()) return value;
  if (value.is_map()) {
    read_budget(value, path + ".sparsity", pattern.is_null() ? "" : split_name(pattern, path + ".pattern").name);
    return value;
  }
  const double sparsity = value.is_number() ? value.number() : -1;
  if (sparsity >= 0 && sparsity < 1) return value;
  std::string fix = "use a number in [0, 1), or a budget such as {macs: 0.5}";
  if (sparsity > 1 && sparsity < 100)
    fix += fmt::format("; for {:.6g} percent write {:.6g}", sparsity, sparsity / 100);
  throw ConfigError{
      {.what = "sparsity is " + value.describe(), .where = rule.where("sparsity"), .fix = fix}};
}

}  // namespace

std::vector<std::string> budget_kinds() { return {"macs", "params", "bytes", "memory", "latency"}; }

PruneRule read_rule(const Options& options, const std::string& path) {
  PruneRule rule;
  rule.select = read_selection(options.section("select", "which tensors the rule takes"));
  rule.criterion = read_plugin(options, "criterion", rule.criterion, "how much each weight matters",
                               path + ".criterion");
  rule.pattern = read_plugin(options, "pattern", rule.pattern,
                             "which weights stand or fall together", path + ".pattern");
  rule.allocation =
      read_plugin(options, "allocation", {}, "how many each layer keeps", path + ".allocation");
  rule.sparsity = read_sparsity(options, path, rule.pattern);
  rule.solver = read_plugin(options, "solver", Setting("auto"), "corrects the weights that stay",
                            path + ".solver");
  rule.min_density = options.number("min_density", rule.min_density, {.min = 0, .max = 1},
                                    "least fraction that every layer keeps; 0 allows empty layers");
  rule.limits = read_density_limits(options, rule.min_density, path);
  rule.permute = options.flag("permute", rule.permute,
                              "of an N:M pattern: first reorder channels so that it loses less magnitude");
  return rule;
}

std::optional<SparsityBudget> budget_of(const PruneRule& rule) {
  if (!rule.sparsity.is_map()) return std::nullopt;
  return read_budget(rule.sparsity, "sparsity");
}

}  // namespace sparsify
