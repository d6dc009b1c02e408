#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/setting.h"

namespace sparsify {

/// The other half of a data format (data/dataset.h): which files its records come from.
class FileSource {
 public:
  virtual ~FileSource() = default;
  /// Every file that decides about the records, in a fixed order; may be asked before bind(). Empty where records are drawn.
  /// throws as bind() does for what is not there
  virtual std::vector<std::string> files() const = 0;
};

/// The files of a named set of the recipe, its chain of `from` followed.
std::vector<std::string> files_of_set(const std::string& name, const std::map<std::string, Setting>& sets);

/// Changes with the files: it is of their names and their bytes, where all together have more than `most_bytes` of their names,
/// sizes and modification times.
/// throws ResourceError for a file that cannot be read
std::string digest_of_files(const std::vector<std::string>& files, int64_t most_bytes = int64_t{512} << 20);

}  // namespace sparsify
