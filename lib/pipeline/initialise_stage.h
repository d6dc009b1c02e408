#pragma once

#include <map>
#include <string>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "train/trainer.h"

namespace sparsify {

struct FreshWeights {
  WeightMap tensors{};  ///< by tensor id, as stored
  std::string note{};   ///< what was drawn and what was kept, for the report
};

/// Whether the recipe asks for fresh weights; checks its key `initialise` before any work.
/// throws ConfigError for an unknown name or option
bool initialises(const Recipe& recipe);

/// The weights of the graph as before any training, by `initialise:` of the recipe: weights and embeddings are drawn, biases are 0, normalisations
/// have scale 1, shift 0, mean 0 and variance 1. Constants of formulas stay.
/// throws ResourceError for quantised weights
FreshWeights fresh_weights(const ModelFile& file, const Recipe& recipe);

}  // namespace sparsify
