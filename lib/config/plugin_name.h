#pragma once

#include "base/plugin_call.h"
#include "config/option_check.h"
#include "config/options.h"

namespace sparsify {

/// A plugin as messages name it, by the setting that chose it.
///   path  `prune.0.criterion`
template <class Interface>
PluginName plugin_name(const Setting& setting, const std::string& path) {
  return {.family = Interface::kFamily, .name = split_name(setting, path).name, .where = place_of(setting.mark(), path)};
}

}  // namespace sparsify
