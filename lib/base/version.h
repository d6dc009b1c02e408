#pragma once

#include <map>
#include <string>

namespace sparsify {

/// `0.1.0`
std::string version();
/// What this binary was made from: `sparsify` with its commit, `compiler`. Other parts add their own.
std::map<std::string, std::string> build_versions();

}  // namespace sparsify
