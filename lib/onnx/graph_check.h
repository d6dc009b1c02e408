#pragma once

#include "onnx/graph.h"

namespace sparsify {

/// What must hold before anything walks the graph, in subgraphs and functions too: one producer a value, every
/// value read is produced, no cycle. Throws ResourceError naming the node and the value.
void check_graphs(const ModelGraph& model);

}  // namespace sparsify
