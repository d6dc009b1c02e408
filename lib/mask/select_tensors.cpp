// Which tensors the rules of a recipe take, and why the others are left alone.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/names.h"
#include "mask/prunable.h"
#include "mask/tensor_globs.h"

namespace sparsify {

bool matches_any(const std::vector<std::string>& globs, const PrunableTensor& tensor) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return glob_match(glob, tensor.initializer) || glob_match(glob, tensor.layer) ||
           std::any_of(tensor.used_by.begin(), tensor.used_by.end(),
                       [&](const std::string& user) { return glob_match(glob, user); });
  });
}

bool has_wildcard(std::string_view glob) { return glob.find_first_of("*?[") != std::string_view::npos; }

namespace {

/// Named outright, without a wildcard: such a tensor is meant, also if it is the first or last layer or depthwise.
bool is_named(const std::vector<std::string>& globs, const PrunableTensor& tensor) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return glob == tensor.initializer || glob == tensor.layer;
  });
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// Why the rule leaves the tensor alone; "" if it takes it.
std::string refusal(const PrunableTensor& tensor, const Selection& select) {
  if (tensor.kind == "unused") return "no node uses it";
  if (!contains(select.kinds, tensor.kind)) {
    return fmt::format("{}: not selected (select.kinds)", tensor.kind == "other" ? "operand of " + tensor.op : tensor.kind);
  }
  if (!contains(select.ops, tensor.op) && tensor.kind == "weight") {
    return fmt::format("operator {}: not selected (select.ops)", tensor.op);
  }
  if (!matches_any(select.include, tensor)) return "not included (select.include)";
  if (matches_any(select.exclude, tensor)) return "excluded (select.exclude)";
  const bool named = is_named(select.include, tensor);
  if (tensor.first && !select.first_last && !named) return "first layer: kept unless selected by name";
  if (tensor.last && !select.first_last && !named) return "last layer: kept unless selected by name";
  if (tensor.depthwise() && !select.depthwise && !named) return "depthwise: kept unless selected by name";
  if (tensor.nested) return "inside a loop or branch: left untouched";
  if (tensor.count() < 2) return "a single element";
  return "";
}

/// Where the globs take everything: why each tensor is left, most frequent reason first.
std::string what_there_is(const std::vector<PrunableTensor>& tensors, const Selection& select) {
  std::map<std::string, int> counts;
  for (const PrunableTensor& tensor : tensors) ++counts[refusal(tensor, select)];
  std::vector<std::pair<std::string, int>> reasons(counts.begin(), counts.end());
  std::stable_sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> texts;
  for (const auto& [reason, count] : reasons) texts.push_back(fmt::format("{} x {}", count, reason));
  if (texts.empty()) return "the model has no weights; `sparsify inspect MODEL` lists what it has";
  return fmt::format("the model has {}; set select.ops, select.kinds, select.first_last or select.depthwise, or name a layer without a wildcard", join(texts, "; "));
}

}  // namespace

Selections select_tensors(const std::vector<PrunableTensor>& tensors, const std::vector<PruneRule>& rules) {
  Selections result;
  std::vector<size_t> taken(rules.size());
  for (const PrunableTensor& tensor : tensors) {
    std::string reason = "no rule";
    std::optional<size_t> rule;
    for (size_t i = 0; i < rules.size(); ++i) {
      const std::string refused = refusal(tensor, rules[i].select);
      if (refused.empty()) rule = i;
      else reason = refused;
    }
    if (rule) {
      result.selected.push_back({tensor, *rule});
      ++taken[*rule];
    } else {
      result.skipped.push_back({tensor, reason});
    }
  }
  for (size_t i = 0; i < rules.size(); ++i) {
    if (taken[i] > 0) continue;
    std::vector<std::string> names;
    for (const PrunableTensor& tensor : tensors) {
      if (tensor.kind == "weight") names.push_back(tensor.initializer);
    }
    const Selection& select = rules[i].select;
    const bool takes_all = select.include == std::vector<std::string>{"*"} && select.exclude.empty();
    const std::string nearest = takes_all || select.include.empty() ? "" : closest_name(select.include.front(), names);
    const bool overtaken = std::any_of(result.selected.begin(), result.selected.end(), [&](const Selected& selected) {
      return refusal(selected.tensor, select).empty();
    });
    throw ConfigError{
        {.what = overtaken ? fmt::format("rule {} selects no tensor: later rules take all that it matches", i)
                           : fmt::format("rule {} selects no tensor (ops {}; include {}; exclude {})", i, join(select.ops),
                                         join(select.include), select.exclude.empty() ? "nothing" : join(select.exclude)),
         .where = rules[i].mark.source.empty() ? fmt::format("prune.{}", i)
                                               : fmt::format("{} (prune.{})", rules[i].mark.text(), i),
         .fix = takes_all && !overtaken ? what_there_is(tensors, select)
                : nearest.empty() ? "widen the globs; `sparsify inspect MODEL` lists the layers and what they are"
                                : fmt::format("did you mean \"{}\"? `sparsify inspect MODEL` lists all layers", nearest)}};
  }
  return result;
}

}  // namespace sparsify
