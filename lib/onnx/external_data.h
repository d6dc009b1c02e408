#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "onnx/mapped_file.h"

namespace sparsify {

/// The entries `location`, `offset` and `length` of TensorProto.external_data.
struct ExternalEntry {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;  ///< -1: not given
};

/// throws ResourceError: no location, one key twice, numbers that are negative or no numbers
ExternalEntry parse_external_entry(const std::vector<std::pair<std::string, std::string>>& entries,
                                   const std::string& where);

/// Opens a data file of a model in `folder`. The path comes from the model and so from a stranger: it may not
/// leave the folder. Four layers, as ONNX has them since CVE-2026-27489 and CVE-2026-34446: the text of the path,
/// the resolved path, links in any component while opening, and the hard links of what was opened.
///
///   allow_links   accepts symbolic and hard links, also out of the folder; the text is checked all the same
///   throws        ResourceError naming `where`
std::shared_ptr<const MappedFile> open_external_data(const std::string& folder,
                                                     const std::string& location, bool allow_links,
                                                     const std::string& where);

}  // namespace sparsify
