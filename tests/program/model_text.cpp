#include "program/model_text.h"

#include <onnx/defs/parser.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace sparsify {

TextModel::TextModel(const std::string& text) {
  ONNX_NAMESPACE::ModelProto model;
  const auto status = ONNX_NAMESPACE::OnnxParser::Parse(model, text.c_str());
  if (!status.IsOK()) throw std::runtime_error(status.ErrorMessage());
  std::string pattern = (std::filesystem::temp_directory_path() / "sparsify-test-XXXXXX").string();
  const int descriptor = mkstemp(pattern.data());
  if (descriptor < 0) throw std::runtime_error("cannot make a temporary file");
  close(descriptor);
  path_ = pattern;
  std::ofstream out(path_, std::ios::binary);
  model.SerializeToOstream(&out);
}

TextModel::~TextModel() { std::filesystem::remove(path_); }

}  // namespace sparsify
