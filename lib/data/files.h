#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace sparsify {

/// The first of `names` that exists in `folder`.
/// throws ResourceError that names the folder and lists what was looked for
std::filesystem::path find_file(const std::filesystem::path& folder,
                                const std::vector<std::string>& names, const std::string& fix);

/// Reads `path` and `split` (train or test), both required.
/// throws ConfigError if one is missing
struct FolderAndSplit {
  std::filesystem::path folder;
  std::string split;
};
FolderAndSplit read_folder_and_split(const Options& options, const std::string& help);

/// For formats that feed one input. throws ShapeError if the model has more
void require_one_input(const InputSignature& signature, const std::string& source);

/// `path` itself if it is a file, else `path`/SPLIT.EXTENSION; `split` is required for folders and
/// refused for files. Where SPLIT is one of `synonyms`, the file may be called like any of them.
/// throws ConfigError or ResourceError naming the path
std::filesystem::path file_of_split(const Options& options, const std::string& extension,
                                    const std::vector<std::string>& synonyms = {});

/// The whole file; a gzip file is unpacked, whatever its name.
/// throws ResourceError when it cannot be read or the gzip stream is damaged or cut off
std::vector<std::byte> read_file(const std::filesystem::path& path);

}  // namespace sparsify
