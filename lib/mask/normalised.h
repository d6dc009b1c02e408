#pragma once

#include <map>
#include <string>

#include "onnx/flat_graph.h"
#include "onnx/model_file.h"
#include "tensor/shape.h"

namespace sparsify {

/// What stands behind a normalisation that an export wrote out in small operators.
enum class AfterNorm {
  Normalised,  ///< divided by a statistic of itself, or 1 / that statistic: what is multiplied with it is the scale of the normalisation
  Scaled,      ///< multiplied with such a scale: what is added to it is the shift
};

/// By value: those that are x / sqrt(mean(x^2) + epsilon) or alike (LayerNorm, RMSNorm, GroupNorm around InstanceNormalization, global
/// response normalisation), through casts and rearrangements. The statistic is a ReduceMean, ReduceL2 or ReduceSumSquare of values of the
/// run, seen through roots, powers, limits and arithmetic with constants. BatchNormalization has a scale of its own and does not count.
std::map<std::string, AfterNorm> find_normalised_values(const ModelFile& file, const FlatGraph& graph);

/// One axis at most is longer than 1, and that one is: a number for each channel.
bool is_one_a_channel(const Shape& shape);

}  // namespace sparsify
