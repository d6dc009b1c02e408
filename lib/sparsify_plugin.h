#pragma once

// The header of user plugins (docs/plugins.md): the interfaces of the families, and how a library makes itself known.
// What it includes is the public header set; everything else in this folder may change without a new version.

#include <string>
#include <utility>

#include "allocators/allocator.h"
#include "base/error.h"
#include "base/module.h"
#include "base/registry.h"
#include "base/rng.h"
#include "config/options.h"
#include "criteria/criterion.h"
#include "patterns/pattern.h"
#include "schedules/schedule.h"
#include "tensor/n_of_m.h"
#include "tensor/select.h"

namespace sparsify {

/// Registers a plugin under a name of its family; on the last lines of the file:
///
///     const RegisterPlugin<Criterion, Mine> entry{"mine", "what it does; what it needs"};
///
/// A name that is taken makes `--plugin` fail with a message.
template <class Interface, class Plugin>
struct RegisterPlugin {
  RegisterPlugin(std::string name, std::string description) {
    if (Registry<Interface>::instance().contains(name)) {
      refuse_plugin(std::string("the plugin names its ") + Interface::kFamily + " \"" + name + "\", and there is one of that name");
      return;
    }
    Registry<Interface>::instance().add(std::move(name), std::move(description),
                                        [](const Options& options) { return std::make_unique<Plugin>(options); });
  }
};

}  // namespace sparsify

#ifndef SPARSIFY_PLUGIN_VERSION
#define SPARSIFY_PLUGIN_VERSION 1
#endif
#define SPARSIFY_PLUGIN_JOIN_(a, b) a##b
#define SPARSIFY_PLUGIN_JOIN(a, b) SPARSIFY_PLUGIN_JOIN_(a, b)
#define SPARSIFY_PLUGIN_INTERFACE SPARSIFY_PLUGIN_JOIN(sparsify_plugin_interface_, SPARSIFY_PLUGIN_VERSION)

/// Once in the library, outside of any namespace.
#define SPARSIFY_PLUGIN()                       \
  extern "C" int SPARSIFY_PLUGIN_INTERFACE();   \
  extern "C" int sparsify_plugin_version() { return SPARSIFY_PLUGIN_INTERFACE(); }
