#pragma once

#include <string>

#include "config/recipe.h"

namespace sparsify {

/// The recipe's key `precision`: `float32` (default), or `bf16`: products and convolutions in bfloat16 wherever the model runs
/// for training, evidence and measuring; weights stay float32.
std::string precision_of(const Recipe& recipe);

}  // namespace sparsify
