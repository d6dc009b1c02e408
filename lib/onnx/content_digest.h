#pragma once

#include <string>

#include "onnx/model_file.h"

namespace sparsify {

/// SHA-256 of the .onnx file and of its external data; ModelFile::sha256() where it has none.
std::string content_digest(const ModelFile& file);

}  // namespace sparsify
