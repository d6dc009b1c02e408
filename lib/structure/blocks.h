#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/graph_edits.h"
#include "onnx/model_file.h"
#include "structure/structure.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// A residual block y = s + f(s) whose branch can go: everything that reads y reads s instead.
struct Block {
  std::string name;      ///< label of the Add, unique
  std::string output;    ///< y, by its name in the file
  std::string shortcut;  ///< s
  std::vector<int> nodes;             ///< of the main graph, ascending: what only the branch needs, and the Add
  std::vector<std::string> labels;    ///< of these nodes
  std::vector<int> tensors;           ///< initializers that nothing else uses
  std::vector<int> silenced;          ///< tensors which, set to zero (integers: to their zero point), make the branch exactly zero in the dense model
};

/// A sum of two computed values that is no block.
struct RefusedSum {
  std::string name;  ///< label of the Add
  std::string reason;
};

/// Blocks in node order. A branch qualifies when it has weights of its own (with more than one axis that is longer than 1), is zero once its last scale, or last weight and bias, are zero, when nothing
/// outside reads its inner values, when y is no output of the graph, no loop or branch reads it, and s is not broadcast to it.
/// The last weights may stand behind operators that keep zero (Transpose, Cast, DequantizeLinear ...).
///   refused  null, or gets every sum of two computed values that is no such block
std::vector<Block> find_blocks(const ModelFile& file, const Structure& structure, std::vector<RefusedSum>* refused = nullptr);

/// Removes blocks, added to other edits: nodes, their initializers and value_info go, readers of y read what remains of s.
void remove_blocks_(const ModelFile& file, const std::vector<Block>& blocks, GraphEdits& edits);

}  // namespace sparsify
