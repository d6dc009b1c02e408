#pragma once

#include <string>

#include "onnx/model_file.h"

namespace sparsify {

/// A commented recipe for this model that runs as it is: `sparsify init`.
///   model_path, output_path  as they shall stand in the recipe
std::string starter_recipe(const ModelFile& file, const std::string& model_path, const std::string& output_path);

}  // namespace sparsify
