#pragma once

#include <string>

namespace sparsify {

/// Loads a part of sparsify that is kept out of the executable because of what it costs to start:
/// `torch` (LibTorch takes half a second) brings the program interpreter, training and solvers.
/// Its plugins register themselves while it loads. Loading twice is free; in a binary that already
/// links the module this does nothing.
///
/// throws ResourceError if the library is missing or does not load
void load_module(const std::string& name);

/// The same for a module whose libraries carry their own copy of something that the program has in another version: they see
/// their own symbols before all others, and nothing sees theirs.
void load_module_apart(const std::string& name);

/// Called once by the module itself (a static object in it): the executable then need not load it.
bool register_module(const std::string& name);

/// A user's plugin library: `--plugin libmine.so` (docs/plugins.md). A library for another version of the interface is told
/// before any of its code runs: it refers to a symbol with that version in its name. One that needs the torch part gets it.
///
/// throws ConfigError for another version, a library that does not load or is no plugin, and a name that is taken
void load_plugin(const std::string& path);

/// Called by a plugin while it loads (sparsify_plugin.h): load_plugin throws it.
void refuse_plugin(const std::string& what);

/// Grows with every change that a plugin built before would not survive. Also in the name of the symbol below.
inline constexpr int kPluginVersion = 1;

}  // namespace sparsify

extern "C" int sparsify_plugin_interface_1();
