#include "base/module.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <filesystem>
#include <set>
#include <vector>

#include "base/error.h"

namespace sparsify {
namespace {

std::set<std::string>& present() {
  static auto* names = new std::set<std::string>;
  return *names;
}

/// Beside the executable's folder: build/bin + build/lib, prefix/bin + prefix/lib.
std::string module_path(const std::string& name) {
  const auto executable = std::filesystem::read_symlink("/proc/self/exe");
  return (executable.parent_path().parent_path() / "lib" / ("libsparsify_" + name + ".so")).string();
}

}  // namespace

bool register_module(const std::string& name) { return present().insert(name).second; }

void load_module(const std::string& name) {
  if (present().contains(name)) return;
  const std::string path = module_path(name);
  if (::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    throw ResourceError{{.what = fmt::format("the part \"{}\" does not load: {}", name, ::dlerror()),
                         .where = path,
                         .fix = "keep the folders bin and lib of the installation together, or build it again"}};
  }
  invariant(present().contains(name), "a module registers itself when it loads");
}

void load_plugin(const std::string& path) {
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw ConfigError{{.what = fmt::format("the plugin does not load: {}", ::dlerror()),
                       .where = path,
                       .fix = "name a shared library that was built against this version's headers"}};
  }
  using VersionFunction = int (*)();
  auto* version = reinterpret_cast<VersionFunction>(::dlsym(library, "sparsify_plugin_version"));
  if (version == nullptr || version() != kPluginVersion) {
    const std::string found = version == nullptr ? "none" : std::to_string(version());
    ::dlclose(library);
    throw ConfigError{{.what = fmt::format("the plugin's interface version is {}, this program's is {}",
                                           found, kPluginVersion),
                       .where = path,
                       .fix = "build the plugin again with the headers of this program"}};
  }
}

}  // namespace sparsify
