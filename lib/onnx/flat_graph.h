#pragma once

#include <deque>
#include <string>
#include <vector>

#include "onnx/graph.h"

namespace sparsify {

/// A node of the flattened graph. Names are unique over the whole model.
struct FlatNode {
  const Node* node = nullptr;        ///< attributes with references filled in
  std::vector<std::string> inputs;   ///< "" = not given
  std::vector<std::string> outputs;
  int64_t opset = 0;                 ///< of the node's domain
  std::string label;                 ///< node label, behind the labels of the calls that lead to it
  bool nested = false;               ///< inside an If, Loop or Scan body: it may run never or many times
};

/// A tensor of the file under the name by which flattened nodes use it.
struct FlatTensor {
  std::string value;
  StoredTensor tensor;
};

/// The model as one list of nodes in topological order: model-local functions inlined, bodies of If, Loop and Scan
/// in front of their node. For analysis; nothing of it is written back.
struct FlatGraph {
  std::vector<FlatNode> nodes;
  std::vector<FlatTensor> tensors;       ///< initializers and Constant tensors, each stored tensor once per use
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::deque<Node> owned;                ///< copies that carry bound attributes
};

FlatGraph flatten(const ModelGraph& model);

/// A function body's node with `ref_attr_name` replaced by what the call (or the function's default) gives.
Node bind_attributes(const Node& node, const Function& function, const Node& call);

}  // namespace sparsify
