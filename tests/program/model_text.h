#pragma once

#include <string>

#include "onnx/model_file.h"

namespace sparsify {

/// A model in ONNX's textual syntax, saved to a temporary file that is gone when the returned file is.
///
///   <ir_version: 8, opset_import: ["": 17]>
///   graph (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add (x, w) }
class TextModel {
 public:
  explicit TextModel(const std::string& text);
  ~TextModel();
  TextModel(const TextModel&) = delete;
  TextModel& operator=(const TextModel&) = delete;

  const std::string& path() const { return path_; }
  ModelFile load() const { return ModelFile::load(path_); }

 private:
  std::string path_;
};

}  // namespace sparsify
