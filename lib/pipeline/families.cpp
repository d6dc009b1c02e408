#include "pipeline/families.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "allocators/allocator.h"
#include "base/error.h"
#include "base/module.h"
#include "criteria/criterion.h"
#include "data/image.h"
#include "data/loader.h"
#include "initialisers/initialiser.h"
#include "patterns/pattern.h"
#include "pipeline/elimination_samples.h"
#include "pipeline/group_scores.h"
#include "pipeline/metrics.h"
#include "runtimes/runtime.h"
#include "schedules/schedule.h"
#include "solvers/solver.h"
#include "train/settings.h"

namespace sparsify {
namespace {

struct FamilyEntry {
  std::string purpose;
  bool in_recipe = true;
  std::function<std::vector<PluginEntry>()> list;
  std::function<void(const std::string&, const Options&)> make;
};

template <class Interface>
FamilyEntry family_of(std::string purpose, bool in_recipe = true) {
  return {std::move(purpose), in_recipe,
          [] {
            std::vector<PluginEntry> plugins;
            const auto& registry = Registry<Interface>::instance();
            for (const std::string& name : registry.names()) plugins.push_back({name, registry.description(name)});
            return plugins;
          },
          [](const std::string& name, const Options& options) { Registry<Interface>::instance().make(name, options); }};
}

/// Those that score weights, and the one that scores the units of cuts only.
FamilyEntry criteria() {
  FamilyEntry entry = family_of<Criterion>("how much each weight matters");
  entry.list = [list = entry.list] {
    std::vector<PluginEntry> plugins = list();
    plugins.push_back({"reconstruction", GroupScorer::own_criteria().at("reconstruction") + "; only in cuts (pattern: channel), needs data, no labels"});
    std::sort(plugins.begin(), plugins.end(), [](const PluginEntry& a, const PluginEntry& b) { return a.name < b.name; });
    return plugins;
  };
  entry.make = [make = entry.make](const std::string& name, const Options& options) {
    if (name == "reconstruction") elimination_samples(options);
    else make(name, options);
  };
  return entry;
}

const std::map<std::string, FamilyEntry>& table() {
  static const auto* entries = new std::map<std::string, FamilyEntry>{
      {Criterion::kFamily, criteria()},
      {Pattern::kFamily, family_of<Pattern>("which weights stand or fall together")},
      {Allocator::kFamily, family_of<Allocator>("how many weights each layer keeps")},
      {Solver::kFamily, family_of<Solver>("corrects the weights that stay", /*in_recipe=*/false)},
      {Initialiser::kFamily, family_of<Initialiser>("fresh weights, as before any training")},
      {Schedule::kFamily, family_of<Schedule>("when: sparsity over the run")},
      {LrSchedule::kFamily, family_of<LrSchedule>("the learning rate over a training", /*in_recipe=*/false)},
      {Augmentation::kFamily, family_of<Augmentation>("random changes of training images", /*in_recipe=*/false)},
      {Dataset::kFamily, family_of<Dataset>("where samples come from")},
      {Metric::kFamily, family_of<Metric>("what is measured", /*in_recipe=*/false)},
      {Runtime::kFamily, family_of<Runtime>("what runs a model", /*in_recipe=*/false)},
  };
  return *entries;
}

const FamilyEntry& entry_of(const std::string& family) {
  const auto found = table().find(family);
  if (found == table().end()) {
    std::vector<std::string> names;
    for (const auto& [name, entry] : table()) names.push_back(name);
    throw ConfigError{{.what = fmt::format("there is no family \"{}\"", family), .where = "list", .fix = suggest(family, names)}};
  }
  if (family == Runtime::kFamily || family == Solver::kFamily) load_module("torch");
  return found->second;
}

}  // namespace

std::vector<Family> families() {
  std::vector<Family> list;
  for (const auto& [name, entry] : table()) list.push_back({name, entry.purpose});
  return list;
}

std::vector<PluginEntry> plugins_of(const std::string& family) { return entry_of(family).list(); }

std::vector<OptionRecord> options_of(const std::string& family, const std::string& plugin) {
  const Options options;
  try {
    entry_of(family).make(plugin, options);
  } catch (const ConfigError&) {
    // A required option is missing, as it must be here; the reads until then are recorded. An unknown plugin has none.
    if (options.records().empty()) throw;
  }
  return options.records();
}

std::map<std::string, std::map<std::string, std::vector<OptionRecord>>> all_options() {
  std::map<std::string, std::map<std::string, std::vector<OptionRecord>>> all;
  for (const auto& [family, entry] : table()) {
    if (!entry.in_recipe) continue;
    for (const PluginEntry& plugin : entry.list()) all[family][plugin.name] = options_of(family, plugin.name);
  }
  all[Dataset::kFamily][""] = common_data_options();
  all["train"][""] = train_options();
  return all;
}

}  // namespace sparsify
