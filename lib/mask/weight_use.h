#pragma once

#include <string>
#include <vector>

#include "onnx/flat_graph.h"

namespace sparsify {

/// What one input position of an operator means when a stored tensor stands there.
struct WeightUse {
  std::string kind;      ///< weight, bias, norm, embedding, other
  int output_axis = -1;  ///< of the tensor as the operator sees it
  int input_axis = -1;
  int64_t groups = 1;
};

/// The role of input `position` of `node`. `rank` is that of the tensor as the operator sees it; `other_is_stored` says
/// for two-operand products whether the other operand is a stored tensor as well (then the second one is the weight).
WeightUse use_of(const FlatNode& node, size_t position, int rank, bool other_is_stored);

/// The operator gives elements of its first operand, elsewhere or several times, and computes nothing.
bool only_moves(const Node& node);

/// True for operators whose `weight` position makes a layer: what counts for "first" and "last".
bool is_layer_op(const Node& node);

}  // namespace sparsify
