#pragma once

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

namespace sparsify {

/// The folder with data sets, networks and conformance cases that is not part of the repository.
inline std::filesystem::path shared_folder() {
  const char* named = std::getenv("SPARSIFY_SHARED");
  return named != nullptr && *named != '\0' ? named : "../shared";
}

/// A path inside it, or an empty path after saying on stdout that the test is skipped; scripts/test collects these lines.
inline std::filesystem::path shared_or_skip(const std::string& inside, const std::string& test) {
  const std::filesystem::path path = shared_folder() / inside;
  if (std::filesystem::exists(path)) return path;
  std::cout << "SKIPPED: " << test << ": " << path.string() << " is absent\n";
  return {};
}

}  // namespace sparsify
