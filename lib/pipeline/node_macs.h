#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "onnx/flat_graph.h"

namespace sparsify {

/// True for operators that sum products: convolutions, matrix products, recurrent cells, attention, mixtures of experts, in floating
/// point or integers.
bool multiplies(const Node& node);

/// Multiply-accumulates of one run of a node: 0 where multiplies() is false; nullopt where a shape that it needs is not in `shapes`, or
/// a run decides how often the node runs (bodies of If, Loop and Scan). Attention counts all pairs of queries and keys, past ones too,
/// whatever its mask hides; weights of few bits count as the numbers they stand for.
///   shapes  whole shapes, of values and of stored tensors
std::optional<int64_t> count_node_macs(const FlatNode& node, const std::map<std::string, Shape>& shapes);

}  // namespace sparsify
