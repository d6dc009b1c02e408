#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/model_file.h"

namespace sparsify {

/// A node of the main graph that the file lacks, in the domain "" and without attributes.
struct AddedNode {
  int behind = 0;  ///< Node::index of the one that it follows in the file
  std::string name;
  std::string op_type;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

/// What changes in nodes of the main graph beside GraphEdits; a node that those remove takes its edits with it.
struct NodeEdits {
  std::map<int, std::map<int, std::string>> outputs{};   ///< Node::index -> output number -> new name
  std::map<int, std::map<std::string, float>> floats{};  ///< Node::index -> `float` attributes, added where the node lacks them
  std::vector<AddedNode> added{};

  bool empty() const { return outputs.empty() && floats.empty() && added.empty(); }
};

/// Replaces the edits of nodes given before; like GraphEdits they show in the written file only.
void edit_nodes_(ModelFile& file, NodeEdits edits);

}  // namespace sparsify
