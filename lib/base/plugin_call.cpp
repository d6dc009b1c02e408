#include "base/plugin_call.h"

#include <fmt/core.h>

#include "base/error.h"

namespace sparsify {

void refuse_result(const PluginName& plugin, const std::string& what) {
  throw ConfigError{{.what = fmt::format("the {} \"{}\" {}", plugin.family, plugin.name, what),
                     .where = plugin.where,
                     .fix = fmt::format("mend the plugin (docs/plugins.md says what each family must do), or choose another {}", plugin.family)}};
}

void throw_as_plugins(const PluginName& plugin) {
  std::string text;
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    if (!has_user_plugins()) throw;
    text = error.what();
  } catch (...) {
    text = "an exception that is no std::exception";
  }
  refuse_result(plugin, "failed: " + text);
}

}  // namespace sparsify
