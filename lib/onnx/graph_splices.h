#pragma once

#include <vector>

#include "onnx/model_impl.h"
#include "onnx/splice.h"

namespace sparsify {

/// The edits of nodes, attributes, stated shapes and the list of initializers (GraphEdits), added to the splices of
/// tensors. What lies inside something that is removed is taken out again.
///   frames   the messages on the way to what changes; those that are missing are appended
void add_graph_splices(const ModelFile::Impl& impl, std::vector<Frame>& frames, std::vector<Splice>& splices);

}  // namespace sparsify
