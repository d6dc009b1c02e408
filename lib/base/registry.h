#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/names.h"

namespace sparsify {

class Options;  // config/options.h; a factory reads its part of the recipe from it

/// The plugins of one family by name. A plugin registers itself on the last line of its file:
///
///     const Register<Criterion, Wanda> entry{"wanda", "|weight| x input norm; needs data"};
///
/// `Interface::kFamily` is the family's name in messages and in `sparsify list`.
template <class Interface>
class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Interface>(const Options&)>;

  /// Leaked on purpose: plugins may register and look up during static initialisation and exit.
  static Registry& instance() {
    static Registry* registry = new Registry;
    return *registry;
  }

  /// A duplicate name aborts: a throw before `main` has no handler.
  void add(std::string name, std::string description, Factory factory) {
    if (entries_.contains(name)) {
      std::fprintf(stderr, "error: two plugins of family %s are named \"%s\"\n",
                   Interface::kFamily, name.c_str());
      std::abort();
    }
    entries_.emplace(std::move(name), Entry{std::move(description), std::move(factory)});
  }

  /// Throws ConfigError with the known names, closest first, when there is no such plugin.
  std::unique_ptr<Interface> make(std::string_view name, const Options& options) const {
    return entry(name).factory(options);
  }

  const std::string& description(std::string_view name) const { return entry(name).description; }

  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, unused] : entries_) names.push_back(name);
    return names;
  }

 private:
  struct Entry {
    std::string description;
    Factory factory;
  };

  const Entry& entry(std::string_view name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      throw ConfigError{{.what = std::string("no ") + Interface::kFamily + " is named \"" +
                                 std::string(name) + "\"",
                         .where = Interface::kFamily,
                         .fix = suggest(name, names())}};
    }
    return found->second;
  }

  std::map<std::string, Entry, std::less<>> entries_;
};

template <class Interface, class Plugin>
struct Register {
  Register(std::string name, std::string description) {
    Registry<Interface>::instance().add(
        std::move(name), std::move(description),
        [](const Options& options) { return std::make_unique<Plugin>(options); });
  }
};

}  // namespace sparsify
