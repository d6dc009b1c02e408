#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tensor/host_tensor.h"
#include "tensor/value_info.h"

namespace sparsify {

/// A read-only picture of the ONNX graph without protobuf: what the interpreter, the weight finder and
/// the reports look at. Editing goes through ModelFile, which owns the bytes.

/// A tensor stored in the file: an initializer, or the value of a Constant node or another attribute.
struct StoredTensor {
  std::string name;  ///< the initializer's name; for an attribute, that of the node's output
  DType type = DType::Undefined;
  Shape shape;
  int id = -1;  ///< ModelFile::tensor_data(id); stable for the life of the file
  /// The data of a constant that no file holds, in a body made by expand_function(); its id is -1.
  std::shared_ptr<const HostTensor> value;
};

struct StoredSparseTensor {
  StoredTensor values;   ///< [nnz]
  StoredTensor indices;  ///< int64, [nnz] linearised or [nnz, rank]
  Shape shape;
};

struct Graph;

/// One attribute; `value` holds the alternative that its ONNX type names.
struct Attribute {
  std::string name;
  std::string reference;  ///< `ref_attr_name` inside a function body, else empty
  std::variant<std::monostate, int64_t, float, std::string, StoredTensor, StoredSparseTensor,
               std::shared_ptr<const Graph>, std::vector<int64_t>, std::vector<float>,
               std::vector<std::string>, std::vector<StoredTensor>,
               std::vector<std::shared_ptr<const Graph>>>
      value;
};

struct Node {
  std::string name;  ///< may be empty; label() never is
  std::string op_type;
  std::string domain;  ///< "" for ai.onnx (the file may spell it "ai.onnx")
  std::string overload;
  std::vector<std::string> inputs;  ///< "" = an optional input that is not given
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;
  int index = -1;  ///< position in its graph's node list

  const Attribute* find(std::string_view attribute) const;
  int64_t integer(std::string_view attribute, int64_t otherwise) const;
  float number(std::string_view attribute, float otherwise) const;
  std::string text(std::string_view attribute, std::string_view otherwise) const;
  std::vector<int64_t> integers(std::string_view attribute,
                                std::vector<int64_t> otherwise = {}) const;

  /// The name, or `Conv -> "output"` when the file gave none.
  std::string label() const;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<ValueInfo> inputs;  ///< initializers that are listed as inputs too (IR 3) are left out
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> values;  ///< value_info
  std::vector<StoredTensor> initializers;
  std::vector<StoredSparseTensor> sparse_initializers;
  std::vector<std::string> overridable;  ///< initializers that are also graph inputs

  const StoredTensor* find_initializer(std::string_view name) const;
};

/// A model-local function: called as an operator (domain, name, overload).
struct Function {
  std::string domain;
  std::string name;
  std::string overload;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> attributes;     ///< required by the caller
  std::vector<Attribute> default_attributes;
  std::map<std::string, int64_t> opsets;  ///< domain -> version of the body
  std::vector<Node> nodes;
};

struct ModelGraph {
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;  ///< domain ("" for ai.onnx) -> version
  Graph graph;
  std::vector<Function> functions;
  std::string producer;  ///< `pytorch 2.13.0`

  const Function* find_function(const std::string& domain, const std::string& name,
                                const std::string& overload = "") const;
};

/// Nodes in an order in which every input comes before its use; the file's order when that is one.
/// throws ResourceError naming the nodes of a cycle, or the node and the value that nothing produces
std::vector<int> topological_order(const Graph& graph,
                                   const std::vector<std::string>& outer_names = {});

}  // namespace sparsify
