#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/graph_edits.h"
#include "onnx/model_file.h"
#include "onnx/node_edits.h"
#include "structure/structure.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// What is left of one stored tensor.
struct TensorCut {
  int id = -1;
  std::string tensor;
  Shape before;
  Shape after;
  std::vector<AxisSlice> kept;  ///< old indices in their new order, by stored axis
};

struct Cut {
  GraphEdits edits;
  NodeEdits nodes;  ///< means that divide by fewer are multiplied behind
  std::vector<TensorCut> tensors;  ///< in order of id
};

/// The edits that remove units physically: tensors are sliced along all their axes, numbers that count indices (shape
/// constants, `group`) become what remains, stated shapes follow. A constant that several nodes read, of which only some
/// need another number, stays; those get an initializer of their own.
///   throws  ResourceError when a model-local function would need other numbers in each of its calls
Cut cut(const ModelFile& file, const Structure& structure, const Removed& removed);

/// The masked dense model: what Structure says is +0.0 where units are removed, by tensor id (set = kept). Tensors of
/// passive members have none.
std::map<int, BitMask> cut_masks(const ModelFile& file, const Structure& structure, const Removed& removed);

}  // namespace sparsify
