#pragma once

#include "config/recipe.h"
#include "onnx/model_file.h"

namespace sparsify {

/// Whether products and convolutions are computed in bfloat16 (`precision: bf16`).
/// throws ConfigError for a model that has no float32 weights: nothing would change
bool computes_in_bfloat16(const Recipe& recipe, const ModelFile& file);

}  // namespace sparsify
