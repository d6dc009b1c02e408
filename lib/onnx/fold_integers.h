#pragma once

// Only for .cpp files of onnx/: everything else sees the graph without protobuf.
#include <onnx/onnx_pb.h>

namespace sparsify {

/// Turns nodes that compute few numbers out of constants and known shapes (Shape, Gather, ConstantOfShape, Slice, Concat,
/// arithmetic ...: what exporters write for a padding or a Reshape) into initializers, so that ONNX's shape inference, which follows
/// only some of these operators, sees the sizes. `graph` is in topological order and carries what inference has found.
/// Subgraphs are left as they are. Returns whether another inference can find more: a shape that was open hangs on a new number.
bool fold_integers(ONNX_NAMESPACE::GraphProto& graph);

}  // namespace sparsify
