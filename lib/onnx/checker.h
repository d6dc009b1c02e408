#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/graph.h"
#include "onnx/model_file.h"

namespace sparsify {

/// The ONNX project's own checker with full check (schemas and strict shape inference), on the model without
/// its large payloads, whose sizes ModelFile has checked itself. "" when it passes, else its message.
std::string full_check(const ModelFile& file);

/// Types and shapes of all values of the main graph, initializers too, as ONNX's shape inference finds them.
/// `bindings` gives symbols their sizes (`batch` -> 1); `inputs` overrides whole input shapes, and binds the
/// symbols that stand in them.
/// A value of which not even the type is known is absent. Never throws for a model that loads: inference that stops
/// at an unknown operator gives what it found until there.
std::map<std::string, ValueInfo> infer_shapes(const ModelFile& file,
                                              const std::map<std::string, Shape>& inputs = {},
                                              const std::map<std::string, int64_t>& bindings = {});

/// The newest opset of ai.onnx whose schemas are built in.
int newest_known_opset();

/// What the ONNX schema says of an operator: how many inputs, whether it is a function with a body.
struct OperatorSchema {
  std::string name;
  std::string domain;
  int since_version = 0;
  bool deprecated = false;
  bool is_function = false;
};

/// All schemas with history, sorted by domain, name, version.
std::vector<OperatorSchema> operator_schemas();

/// How a node contradicts its operator's schema: a number of inputs or outputs that it cannot have, an unknown attribute or
/// one of another type; "" when it does not, or no schema is known. Attributes that are missing are left to who needs them.
std::string contradiction(const Node& node, int64_t opset);

/// The body of a schema-defined function (context-dependent ones too) as a Function, for operators that have no
/// kernel of their own; nullopt if the schema has none.
/// Attributes that the node leaves out have the schema's defaults in `default_attributes`; constants of the body
/// carry their data in StoredTensor::value.
///
///   inputs  what is known of the node's inputs (infer_shapes); some bodies depend on element types or ranks
std::optional<Function> expand_function(const Node& node, int64_t opset,
                                        const std::vector<ValueInfo>& inputs);

}  // namespace sparsify
