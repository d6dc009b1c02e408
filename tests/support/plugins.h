#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sparsify {

/// Files of a folder of lib/ that register a plugin. Tests run in the source folder.
inline size_t plugin_files(const std::string& folder) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("lib/" + folder)) {
    if (entry.path().extension() != ".cpp") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    count += text.str().find("\nconst Register<") != std::string::npos;
  }
  return count;
}

}  // namespace sparsify
