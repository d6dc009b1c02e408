#include <algorithm>
#include <filesystem>

#include "config/recipe.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// A relative path as it must be written in a file of `folder` to mean the same; absolute ones
/// stay.
std::string path_from(const std::string& path, const std::string& folder) {
  if (folder.empty() || path.empty() || fs::path(path).is_absolute()) return path;
  const fs::path here = fs::absolute(folder).lexically_normal();
  return fs::absolute(path).lexically_normal().lexically_proximate(here).string();
}

Setting list_of(const std::vector<std::string>& texts) {
  Setting::List list;
  for (const std::string& text : texts) list.emplace_back(text);
  return Setting(std::move(list));
}

void set_given(Setting& map, const char* key, const Setting& value) {
  if (!value.is_null()) map.set(key, value);
}

Setting resolved_rule(const PruneRule& rule) {
  Setting select;
  select.set("ops", list_of(rule.select.ops));
  select.set("include", list_of(rule.select.include));
  select.set("exclude", list_of(rule.select.exclude));
  select.set("kinds", list_of(rule.select.kinds));
  select.set("first_last", Setting(rule.select.first_last));

  Setting map;
  map.set("select", std::move(select));
  set_given(map, "criterion", rule.criterion);
  set_given(map, "pattern", rule.pattern);
  set_given(map, "allocation", rule.allocation);
  set_given(map, "sparsity", rule.sparsity);
  set_given(map, "solver", rule.solver);
  map.set("min_density", Setting(rule.min_density));
  return map;
}

/// train, eval, calibration, then the others by name.
Setting resolved_data(const std::map<std::string, Setting>& data, const std::string& folder) {
  std::vector<std::string> names = {"train", "eval", "calibration"};
  for (const auto& [name, unused] : data) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  Setting map;
  for (const std::string& name : names) {
    const auto found = data.find(name);
    if (found == data.end()) continue;
    Setting& set = map.set(name, found->second);
    if (Setting* path = set.find("path"); path != nullptr && path->is_text()) {
      *path = Setting(path_from(path->text(), folder));
    }
  }
  return map;
}

}  // namespace

Setting resolved(const Recipe& recipe, const std::string& folder) {
  Setting map;
  if (!recipe.model.empty()) map.set("model", Setting(path_from(recipe.model, folder)));
  if (!recipe.output.empty()) map.set("output", Setting(path_from(recipe.output, folder)));
  map.set("seed", Setting(recipe.seed));
  map.set("device", Setting(recipe.device));
  map.set("threads", recipe.threads == 0 ? Setting("auto") : Setting(recipe.threads));
  set_given(map, "data", resolved_data(recipe.data, folder));
  Setting::List rules;
  for (const PruneRule& rule : recipe.prune) rules.push_back(resolved_rule(rule));
  if (!rules.empty()) map.set("prune", Setting(std::move(rules)));
  set_given(map, "schedule", recipe.schedule);
  set_given(map, "train", recipe.train);
  map.set("metric", Setting(recipe.metric));
  Setting gates;
  for (const Gate& gate : recipe.gates) gates.set(gate.name, Setting(gate.limit));
  set_given(map, "gates", gates);
  map.set("report", Setting(Setting::Map{{"formats", list_of(recipe.report_formats)}}));
  return map;
}

}  // namespace sparsify
