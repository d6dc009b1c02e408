#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "onnx/graph.h"
#include "tensor/host_tensor.h"
#include "tensor/slice.h"

namespace sparsify {

/// A node of the main graph, or of a model-local function's body.
struct NodePlace {
  int function = -1;  ///< index into ModelGraph::functions; -1: the main graph
  int node = 0;       ///< Node::index
  auto operator<=>(const NodePlace&) const = default;
};

/// What changes in the graph itself. All that is not named here comes back byte for byte, and a tensor keeps the kind of
/// its storage. Edits show in the written file only; ModelFile::model() stays that of the input.
struct GraphEdits {
  /// Tensor id -> what stays along its axes; applied to the elements as masked or replaced.
  std::map<int, std::vector<AxisSlice>> slices;
  /// Tensor id -> other elements and shape, of the stored type.
  std::map<int, HostTensor> tensors;
  /// Initializers of the main graph that nothing uses any more, by tensor id.
  std::set<int> removed_tensors;
  /// `int` or `ints` attributes (the held alternative is the type); one that the node lacks is added.
  std::map<NodePlace, std::vector<Attribute>> attributes;
  /// Node -> input number -> name of the value that it reads from now on.
  std::map<NodePlace, std::map<int, std::string>> inputs;
  std::set<NodePlace> removed_nodes;
  /// Sizes of a value where the main graph's inputs, outputs or value_info state them as numbers; symbols stay, and an
  /// entry of another rank is left alone.
  std::map<std::string, Shape> shapes;
  /// Values whose value_info goes, and whose entry among the inputs goes (initializers of IR 3).
  std::set<std::string> removed_values;
  /// New initializers, appended to the main graph.
  std::vector<std::pair<std::string, HostTensor>> added;

  bool empty() const {
    return slices.empty() && tensors.empty() && removed_tensors.empty() && attributes.empty() && inputs.empty() &&
           removed_nodes.empty() && shapes.empty() && removed_values.empty() && added.empty();
  }
};

}  // namespace sparsify
