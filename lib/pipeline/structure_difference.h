#pragma once

#include <string>
#include <vector>

#include "onnx/model_file.h"

namespace sparsify {

/// What differs between two models besides the values of their tensors, a line each, as `what: in the first | in the second`.
struct StructureDifference {
  std::vector<std::string> signature;  ///< names, types and shapes of inputs and outputs: what a caller relies on
  std::vector<std::string> graph;      ///< opsets, functions, nodes, attributes, wiring, types and shapes of initializers
  std::vector<std::string> notes;      ///< what no runtime computes with: symbols of open sizes, IR version, producer, metadata

  bool empty() const { return signature.empty() && graph.empty(); }
};

/// Nodes are compared in the file's order, up to the first that is another one: behind it the two lists have no pairs.
StructureDifference structure_difference(const ModelFile& a, const ModelFile& b);

}  // namespace sparsify
