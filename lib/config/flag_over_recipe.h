#pragma once

#include <functional>
#include <string>

#include "config/setting.h"

namespace sparsify {

/// A flag that names a plugin (`--criterion taylor`), on top of what the recipe and `--set` say of the same key.
///
/// Options of the same plugin, or of none, stay and are read with it; the flag's own win. Where the flag names another plugin,
/// the options in the recipe belonged to the other one and go, which the log says; those of `--set` stand on the same command
/// line and stay, so that one the named plugin does not have is an error.
///
///   given       of the key before; nullptr or null: nothing
///   flag        the flag's value, a name or a map
///   flag_name   `--criterion`
///   is_plugin   tells `{block: [4, 1]}`, a name and its value, from `{order: 2}`, an option without a name
Setting flag_over_recipe(const Setting* given, const Setting& flag, const std::string& flag_name,
                         const std::function<bool(const std::string&)>& is_plugin);

/// Of two keys of `map` that say the same in two ways (`epochs`, `steps`), the one that the command line gives stands and the recipe's goes,
/// which the log says. Both from the same place stay, for their reader to refuse.
///   path  `train`
void settle_alternatives_(Setting& map, const std::string& path, const std::string& one, const std::string& other);

/// Keys that `--set` gave to a map which a flag replaces (`--data`); the flag's own win.
Setting with_set_options(const Setting* given, Setting flag);

}  // namespace sparsify
