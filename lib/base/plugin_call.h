#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace sparsify {

/// A plugin as messages name it.
struct PluginName {
  std::string family;  ///< Interface::kFamily
  std::string name;
  std::string where;   ///< `r.yaml:3 (prune.0.criterion)`
};

/// Whether --plugin brought one in.
bool has_user_plugins();

/// `the criterion "mine" gives 3 scores that are not finite`: what a plugin did, as the user's error.
/// throws ConfigError
[[noreturn]] void refuse_result(const PluginName& plugin, const std::string& what);

/// Throws what a plugin threw that is no Error as one that names it. Memory that ran out stays what it is, and so does
/// everything where there are no plugins but our own: users cannot mend those.
/// Called while an exception is being handled.
[[noreturn]] void throw_as_plugins(const PluginName& plugin);

/// Calls a plugin.
template <class Call>
auto call_plugin(const PluginName& plugin, Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (...) {
    throw_as_plugins(plugin);
  }
}

}  // namespace sparsify
