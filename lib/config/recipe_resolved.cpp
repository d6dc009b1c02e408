#include <algorithm>
#include <filesystem>

#include "config/recipe.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// A relative path as it must be written in a file of `folder` to mean the same; absolute ones stay.
std::string path_from(const std::string& path, const std::string& folder) {
  if (folder.empty() || path.empty() || fs::path(path).is_absolute()) return path;
  const fs::path here = fs::absolute(folder).lexically_normal();
  return fs::absolute(path).lexically_normal().lexically_proximate(here).string();
}

Value list_of(const std::vector<std::string>& texts) {
  Value::List list;
  for (const std::string& text : texts) list.emplace_back(text);
  return Value(std::move(list));
}

void set_given(Value& map, const char* key, const Value& value) {
  if (!value.is_null()) map.set(key, value);
}

Value resolved_rule(const PruneRule& rule) {
  Value select;
  select.set("ops", list_of(rule.select.ops));
  select.set("include", list_of(rule.select.include));
  select.set("exclude", list_of(rule.select.exclude));
  select.set("kinds", list_of(rule.select.kinds));
  select.set("first_last", Value(rule.select.first_last));

  Value map;
  map.set("select", std::move(select));
  set_given(map, "criterion", rule.criterion);
  set_given(map, "pattern", rule.pattern);
  set_given(map, "allocation", rule.allocation);
  set_given(map, "sparsity", rule.sparsity);
  set_given(map, "solver", rule.solver);
  map.set("min_density", Value(rule.min_density));
  return map;
}

/// train, eval, calibration, then the others by name.
Value resolved_data(const std::map<std::string, Value>& data, const std::string& folder) {
  std::vector<std::string> names = {"train", "eval", "calibration"};
  for (const auto& [name, unused] : data) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  Value map;
  for (const std::string& name : names) {
    const auto found = data.find(name);
    if (found == data.end()) continue;
    Value& set = map.set(name, found->second);
    if (Value* path = set.find("path"); path != nullptr && path->is_text()) {
      *path = Value(path_from(path->text(), folder));
    }
  }
  return map;
}

}  // namespace

Value resolved(const Recipe& recipe, const std::string& folder) {
  Value map;
  if (!recipe.model.empty()) map.set("model", Value(path_from(recipe.model, folder)));
  if (!recipe.output.empty()) map.set("output", Value(path_from(recipe.output, folder)));
  map.set("seed", Value(recipe.seed));
  map.set("device", Value(recipe.device));
  map.set("threads", recipe.threads == 0 ? Value("auto") : Value(recipe.threads));
  set_given(map, "data", resolved_data(recipe.data, folder));
  Value::List rules;
  for (const PruneRule& rule : recipe.prune) rules.push_back(resolved_rule(rule));
  if (!rules.empty()) map.set("prune", Value(std::move(rules)));
  set_given(map, "schedule", recipe.schedule);
  set_given(map, "train", recipe.train);
  map.set("metric", Value(recipe.metric));
  Value gates;
  for (const Gate& gate : recipe.gates) gates.set(gate.name, Value(gate.limit));
  set_given(map, "gates", gates);
  map.set("report", Value(Value::Map{{"formats", list_of(recipe.report_formats)}}));
  return map;
}

}  // namespace sparsify
