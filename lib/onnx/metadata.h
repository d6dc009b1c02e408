#pragma once

#include <map>
#include <string>

#include "onnx/model_file.h"

namespace sparsify {

/// What a file says of itself and no runtime computes with: `ir_version`, `producer`, `domain`, `model_version`, `doc_string`, `graph name`
/// and `metadata KEY`, those that are set.
std::map<std::string, std::string> facts_of(const ModelFile& file);

}  // namespace sparsify
