#include <algorithm>
#include <filesystem>

#include "config/initialise.h"
#include "config/precision.h"
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

/// Where a plugin names a file by `table`, the path stays true in another folder.
Setting with_table_from(Setting plugin, const std::string& folder) {
  if (!plugin.is_map()) return plugin;
  for (auto& [key, value] : plugin.map()) {
    if (key == "table" && value.is_text()) value = Setting(path_from(value.text(), folder));
    else if (value.is_map()) value = with_table_from(value, folder);
  }
  return plugin;
}

Setting resolved_rule(const PruneRule& rule, const std::string& folder) {
  Setting select;
  select.set("ops", list_of(rule.select.ops));
  select.set("include", list_of(rule.select.include));
  select.set("exclude", list_of(rule.select.exclude));
  select.set("kinds", list_of(rule.select.kinds));
  select.set("first_last", Setting(rule.select.first_last));
  select.set("depthwise", Setting(rule.select.depthwise));

  Setting map;
  map.set("select", std::move(select));
  set_given(map, "criterion", rule.criterion);
  set_given(map, "pattern", rule.pattern);
  set_given(map, "allocation", with_table_from(rule.allocation, folder));
  set_given(map, "sparsity", rule.sparsity);
  set_given(map, "solver", rule.solver);
  map.set("min_density", Setting(rule.min_density));
  if (rule.permute) map.set("permute", Setting(true));
  if (rule.limits.max_density < 1) map.set("max_density", Setting(rule.limits.max_density));
  Setting limits;
  for (const DensityLimit& limit : rule.limits.by_layer) {
    limits.set(limit.layers, Setting(Setting::List{Setting(limit.min), Setting(limit.max)}));
  }
  set_given(map, "density_limits", limits);
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
    for (const char* key : {"path", "vocabulary"}) {
      Setting* path = set.find(key);
      if (path != nullptr && path->is_text()) *path = Setting(path_from(path->text(), folder));
    }
  }
  return map;
}

Setting resolved_train(Setting train, const std::string& folder) {
  Setting* distill = train.find("distill");
  Setting* teacher = distill == nullptr ? nullptr : distill->find("teacher");
  if (teacher != nullptr && teacher->is_text()) *teacher = Setting(path_from(teacher->text(), folder));
  return train;
}

}  // namespace

Setting resolved(const Recipe& recipe, const std::string& folder) {
  Setting map;
  if (!recipe.model.empty()) map.set("model", Setting(path_from(recipe.model, folder)));
  if (!recipe.output.empty()) map.set("output", Setting(path_from(recipe.output, folder)));
  map.set("seed", Setting(recipe.seed));
  map.set("device", Setting(recipe.device));
  map.set("threads", recipe.threads == 0 ? Setting("auto") : Setting(recipe.threads));
  map.set("precision", Setting(precision_of(recipe)));
  set_given(map, "data", resolved_data(recipe.data, folder));
  Setting::List rules;
  for (const PruneRule& rule : recipe.prune) rules.push_back(resolved_rule(rule, folder));
  if (!rules.empty()) map.set("prune", Setting(std::move(rules)));
  set_given(map, "initialise", initialise_of(recipe));
  set_given(map, "schedule", recipe.schedule);
  set_given(map, "train", resolved_train(recipe.train, folder));
  map.set("metric", Setting(recipe.metric));
  map.set("repair", Setting(recipe.repair));
  Setting gates;
  for (const Gate& gate : recipe.gates) gates.set(gate.name, Setting(gate.limit));
  set_given(map, "gates", gates);
  map.set("report", Setting(Setting::Map{{"formats", list_of(recipe.report_formats)}}));
  return map;
}

}  // namespace sparsify
