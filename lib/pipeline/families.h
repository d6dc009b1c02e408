#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/options.h"

namespace sparsify {

/// The plugin families by the word that recipes and `sparsify list` use.
struct Family {
  std::string name;     ///< criterion
  std::string purpose;  ///< what its plugins decide
};

struct PluginEntry {
  std::string name;
  std::string description;
};

std::vector<Family> families();

/// Sorted by name. throws ConfigError for an unknown family, the nearest first
std::vector<PluginEntry> plugins_of(const std::string& family);

/// Every option the plugin reads, with default and range; found by making one with nothing given.
std::vector<OptionRecord> options_of(const std::string& family, const std::string& plugin);

/// family -> name -> options, of the families that a recipe names: what config/recipe.h's recipe_schema wants.
std::map<std::string, std::map<std::string, std::vector<OptionRecord>>> all_options();

}  // namespace sparsify
