#pragma once

#include <map>
#include <optional>
#include <string>

#include "onnx/numbers.h"

namespace sparsify {

using KnownNumbers = std::map<std::string, Numbers>;
using KnownShapes = std::map<std::string, const ONNX_NAMESPACE::TensorShapeProto*>;

/// What a node of the standard operators computes out of known numbers and shapes, by value name; nullopt where an operand is not known, the
/// result is too large, or the operator takes no part in shape arithmetic.
std::optional<Numbers> evaluate_node(const ONNX_NAMESPACE::NodeProto& node, const KnownNumbers& known, const KnownShapes& shapes);

}  // namespace sparsify
