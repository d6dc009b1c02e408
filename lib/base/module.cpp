#include "base/module.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/plugin_call.h"

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

/// OpenMP's threads wait for work without computing, unless the user says otherwise: by default they spin, and beside any
/// other work on the machine a run on two threads then takes up to 30 times as long (docs/results.md, "Threads").
/// OpenMP reads this when it is loaded, which is with the module.
void let_threads_sleep() {
  if (::getenv("GOMP_SPINCOUNT") == nullptr) ::setenv("OMP_WAIT_POLICY", "PASSIVE", /*overwrite=*/0);
}

}  // namespace

bool register_module(const std::string& name) { return present().insert(name).second; }

namespace {

void load_with(const std::string& name, int flags) {
  if (present().contains(name)) return;
  const std::string path = module_path(name);
  let_threads_sleep();
  if (::dlopen(path.c_str(), flags) == nullptr) {
    throw ResourceError{{.what = fmt::format("the part \"{}\" does not load: {}", name, ::dlerror()),
                         .where = path,
                         .fix = "keep the folders bin and lib of the installation together, or build it again"}};
  }
  invariant(present().contains(name), "a module registers itself when it loads");
}

}  // namespace

void load_module(const std::string& name) { load_with(name, RTLD_NOW | RTLD_GLOBAL); }

void load_module_apart(const std::string& name) { load_with(name, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND); }

namespace {

constexpr std::string_view kInterface = "sparsify_plugin_interface_";

/// What plugins said while they were loading.
std::string& refusal() {
  static auto* text = new std::string;
  return *text;
}

[[noreturn]] void refuse(const std::string& path, std::string what, std::string fix) {
  throw ConfigError{{.what = std::move(what), .where = path, .fix = std::move(fix)}};
}

/// The version in `undefined symbol: sparsify_plugin_interface_2`; "" if the loader complains of something else.
std::string version_asked(const std::string& complaint) {
  const size_t at = complaint.find(kInterface);
  if (at == std::string::npos) return "";
  const size_t first = at + kInterface.size();
  return complaint.substr(first, complaint.find_first_not_of("0123456789", first) - first);
}

void* open_library(const std::string& file, const std::string& path) {
  if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  std::string complaint = ::dlerror();
  const auto lacks_symbol = [&] { return complaint.find("undefined symbol") != std::string::npos; };
  if (lacks_symbol() && version_asked(complaint).empty() && !present().contains("torch")) {
    load_module("torch");  // a solver, perhaps
    if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    complaint = ::dlerror();
  }
  if (const std::string asked = version_asked(complaint); !asked.empty()) {
    refuse(path, fmt::format("the plugin was built for version {} of the plugin interface, this program has {}", asked, kPluginVersion),
           "build the plugin again with the headers of this program (docs/plugins.md)");
  }
  refuse(path, fmt::format("the plugin does not load: {}", complaint),
         lacks_symbol() ? "build it with the headers of this program, and link the libraries that it needs itself"
                        : "name a shared library that was built as docs/plugins.md says");
}

bool user_plugins = false;

}  // namespace

void refuse_plugin(const std::string& what) { refusal() += (refusal().empty() ? "" : "; ") + what; }

void load_plugin(const std::string& path) {
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  refusal().clear();
  void* library = open_library(file, path);
  using VersionFunction = int (*)();
  auto* version = reinterpret_cast<VersionFunction>(::dlsym(library, "sparsify_plugin_version"));
  if (version == nullptr) {
    ::dlclose(library);
    refuse(path, "the library is no sparsify plugin: it has no sparsify_plugin_version", "put SPARSIFY_PLUGIN() into one of its files (docs/plugins.md)");
  }
  if (version() != kPluginVersion) {
    refuse(path, fmt::format("the plugin was built for version {} of the plugin interface, this program has {}", version(), kPluginVersion),
           "build the plugin again with the headers of this program (docs/plugins.md)");
  }
  if (!refusal().empty()) refuse(path, refusal(), "choose other names in the plugin");
  user_plugins = true;
}

bool has_user_plugins() { return user_plugins; }

}  // namespace sparsify

int sparsify_plugin_interface_1() { return sparsify::kPluginVersion; }
