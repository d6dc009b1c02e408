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

/// Called once by the module itself (a static object in it): the executable then need not load it.
bool register_module(const std::string& name);

/// A user's plugin library: `--plugin libmine.so`. It exports
/// `extern "C" int sparsify_plugin_version()` returning kPluginVersion of the headers it was built with.
///
/// throws ConfigError for another version or a library that does not load
void load_plugin(const std::string& path);

inline constexpr int kPluginVersion = 1;

}  // namespace sparsify
