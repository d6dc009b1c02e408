#include "pipeline/name_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "mask/tensor_globs.h"
#include "onnx/flat_graph.h"
#include "pipeline/cut_plan.h"
#include "structure/structure.h"

namespace sparsify {
namespace {

/// Where the glob stands in the recipe's own text; the rule where that is not known.
std::string place_of_glob(const Recipe& recipe, size_t rule, const std::vector<const char*>& keys, const std::string& glob) {
  Mark mark = recipe.prune[rule].mark;
  std::string path = fmt::format("prune.{}", rule);
  const Setting* found = recipe.source.find("prune");
  if (found != nullptr && found->is_list()) found = rule < found->list().size() ? &found->list()[rule] : nullptr;
  for (const char* key : keys) {
    path += std::string(".") + key;
    if (found != nullptr) found = found->find(key);
  }
  if (found != nullptr && found->is_text()) mark = found->mark();
  if (found != nullptr && found->is_list()) {
    for (const Setting& one : found->list()) {
      if (one.is_text() && one.text() == glob) mark = one.mark();
    }
  }
  if (found != nullptr && found->is_map() && found->find(glob) != nullptr) mark = found->find(glob)->mark();
  return mark.source.empty() ? path : fmt::format("{} ({})", mark.text(), path);
}

/// Layers and their weights first: among names equally near the first is suggested.
std::vector<std::string> names_in(const ModelFile& file) {
  std::vector<std::string> names;
  std::set<std::string> known;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && known.insert(name).second) names.push_back(name);
  };
  for (const PrunableTensor& tensor : find_tensors(file)) {
    add(tensor.layer);
    add(tensor.initializer);
    for (const std::string& user : tensor.used_by) add(user);
  }
  const FlatGraph graph = flatten(file.model());
  for (const FlatNode& node : graph.nodes) {
    add(node.label);
    add(node.node->name);
  }
  for (int id = 0; id < file.tensor_count(); ++id) add(file.tensor(id).name);
  return names;
}

bool matches_one(const std::string& glob, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return glob_match(glob, name); });
}

}  // namespace

std::vector<NameGlob> globs_of(const Recipe& recipe) {
  std::vector<NameGlob> globs;
  for (size_t i = 0; i < recipe.prune.size(); ++i) {
    const PruneRule& rule = recipe.prune[i];
    const auto add = [&](const std::string& glob, const std::vector<const char*>& keys) {
      globs.push_back({.glob = glob, .where = place_of_glob(recipe, i, keys, glob), .groups = cuts(rule)});
    };
    for (const std::string& glob : rule.select.include) add(glob, {"select", "include"});
    for (const std::string& glob : rule.select.exclude) add(glob, {"select", "exclude"});
    for (const DensityLimit& limit : rule.limits.by_layer) add(limit.layers, {"density_limits"});
  }
  return globs;
}

std::vector<std::string> check_names(const ModelFile& file, const std::vector<NameGlob>& globs, const std::map<std::string, Shape>& inputs) {
  std::vector<std::string> warnings;
  std::vector<std::string> names;
  std::optional<std::vector<std::string>> groups;  // found by an analysis of the whole model: only when asked for
  for (const auto& [glob, where, of_groups] : globs) {
    if (glob == "*") continue;
    if (names.empty()) names = names_in(file);
    if (matches_one(glob, names)) continue;
    if (of_groups && !groups) {
      groups.emplace();
      const Structure structure = Structure::analyse(file, {.inputs = inputs});
      for (const Group& group : structure.groups()) groups->push_back(group.name);
    }
    if (of_groups && matches_one(glob, *groups)) continue;
    if (has_wildcard(glob)) {
      warnings.push_back(fmt::format("\"{}\" matches no node, weight or layer of the model: {}", glob, where));
      continue;
    }
    const std::string nearest = closest_name(glob, names);
    throw ConfigError{{.what = fmt::format("the model has no node, weight or layer called \"{}\"", glob),
                       .where = where,
                       .fix = fmt::format("{}`sparsify inspect MODEL` lists the layers; only a pattern with a wildcard may match nothing",
                                          nearest.empty() ? "" : fmt::format("did you mean \"{}\"? ", nearest))}};
  }
  return warnings;
}

}  // namespace sparsify
