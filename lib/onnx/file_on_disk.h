#pragma once

#include <string>

#include "onnx/model_file.h"

namespace sparsify {

/// A path under which other programs find the model with its external data. A file that Writer::reopen() gave has its data
/// under temporary names; then a folder of links beside it holds both under their own, until this object is gone.
///   throws ResourceError when neither links nor copies can be made there
class FileOnDisk {
 public:
  explicit FileOnDisk(const ModelFile& file);
  ~FileOnDisk();
  FileOnDisk(const FileOnDisk&) = delete;
  FileOnDisk& operator=(const FileOnDisk&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::string folder_;  ///< "" where the file is found as it is
};

}  // namespace sparsify
