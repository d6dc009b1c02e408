#pragma once

#include <functional>
#include <map>
#include <string>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "structure/structure.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// A run that cuts trains the dense graph with whole units masked: every slice that a removed unit names is held at zero, weights, biases and norms
/// alike, on both sides. That network is the one which is left after the cut, so that the cut can wait until the weights are final.

/// Units all of whose trained slices are zero, and that are free to go. Nothing is emptied: of a layer that is zero as a whole, units stay.
Removed zero_units(const ModelFile& file, const Structure& structure);

/// Masks of the units that are to be gone for the weights of `moment`, by tensor id; what is zero already is gone for good.
///   sparsity  of a rule's target; a budget {macs: f} is the target 1 - f
std::map<int, BitMask> unit_masks(const ModelFile& moment, const Recipe& recipe, const std::function<double(double target)>& sparsity,
                                  const std::map<std::string, Shape>& inputs);

/// throws ConfigError for rules that a schedule other than one_shot cannot carry out
void require_gradual_cut(const PruneRule& rule, const std::string& path, const std::string& schedule);

}  // namespace sparsify
