#pragma once

#include <memory>
#include <string>

#include "base/folders.h"
#include "onnx/model_file.h"
#include "train/trainer.h"

namespace sparsify {

/// A model with other weights, on disk and read like any other: what looks at a ModelFile (criteria, metrics) then sees the
/// weights of the moment exactly as they would be exported. The file is gone with the object, and the folder if it was made for it.
class ScratchModel {
 public:
  /// `model` may itself be a file without a name yet (Writer::reopen). `folder` is made if it is not there.
  ScratchModel(const ModelFile& model, const WeightMap& weights, const std::string& folder);
  const ModelFile& file() const { return *file_; }

 private:
  NewFolders folders_;  ///< first: it goes last
  std::unique_ptr<ModelFile::Writer> writer_;
  std::unique_ptr<ModelFile> file_;
};

}  // namespace sparsify
