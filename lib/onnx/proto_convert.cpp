#include "onnx/proto_convert.h"

#include <unordered_set>

namespace sparsify {
namespace {

using proto::AttributeProto;

/// Files of IR 1 and some writers leave the type out; then the field that is there says it.
AttributeProto::AttributeType type_of(const AttributeProto& from) {
  if (from.type() != AttributeProto::UNDEFINED) return from.type();
  if (from.has_f()) return AttributeProto::FLOAT;
  if (from.has_i()) return AttributeProto::INT;
  if (from.has_s()) return AttributeProto::STRING;
  if (from.has_t()) return AttributeProto::TENSOR;
  if (from.has_g()) return AttributeProto::GRAPH;
  if (from.has_sparse_tensor()) return AttributeProto::SPARSE_TENSOR;
  if (from.floats_size() > 0) return AttributeProto::FLOATS;
  if (from.ints_size() > 0) return AttributeProto::INTS;
  if (from.strings_size() > 0) return AttributeProto::STRINGS;
  if (from.tensors_size() > 0) return AttributeProto::TENSORS;
  if (from.graphs_size() > 0) return AttributeProto::GRAPHS;
  return AttributeProto::UNDEFINED;
}

template <class Shaped>
std::optional<std::vector<Dimension>> shape_of(const Shaped& type) {
  if (!type.has_shape()) return std::nullopt;
  std::vector<Dimension> shape;
  for (const auto& dim : type.shape().dim()) {
    Dimension dimension;
    if (dim.has_dim_value() && dim.dim_value() >= 0) dimension.size = dim.dim_value();
    if (dim.has_dim_param()) dimension.symbol = dim.dim_param();
    shape.push_back(std::move(dimension));
  }
  return shape;
}

void fill(ValueInfo& info, const proto::TypeProto& type) {
  if (type.has_tensor_type()) {
    info.type = static_cast<DType>(type.tensor_type().elem_type());
    info.shape = shape_of(type.tensor_type());
  } else if (type.has_sparse_tensor_type()) {
    info.type = static_cast<DType>(type.sparse_tensor_type().elem_type());
    info.shape = shape_of(type.sparse_tensor_type());
  } else if (type.has_sequence_type()) {
    fill(info, type.sequence_type().elem_type());
  } else if (type.has_optional_type()) {
    fill(info, type.optional_type().elem_type());
  } else if (type.has_map_type()) {
    fill(info, type.map_type().value_type());
  }
}

template <class Out, class In>
std::vector<Out> list_of(const In& from) {
  return {from.begin(), from.end()};
}

}  // namespace

std::string normal_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

ValueInfo value_info_of(const std::string& name, const proto::TypeProto& type) {
  ValueInfo info;
  info.name = name;
  if (type.has_tensor_type()) info.kind = ValueInfo::Kind::Tensor;
  if (type.has_sparse_tensor_type()) info.kind = ValueInfo::Kind::SparseTensor;
  if (type.has_sequence_type()) info.kind = ValueInfo::Kind::Sequence;
  if (type.has_optional_type()) info.kind = ValueInfo::Kind::Optional;
  if (type.has_map_type()) info.kind = ValueInfo::Kind::Map;
  fill(info, type);
  return info;
}

StoredSparseTensor ProtoConverter::sparse(const proto::SparseTensorProto& from,
                                          const std::string& name) const {
  StoredSparseTensor result;
  result.values = tensor_(from.values(), name);
  if (from.has_indices()) result.indices = tensor_(from.indices(), name + " (indices)");
  result.shape = list_of<int64_t>(from.dims());
  return result;
}

Attribute ProtoConverter::attribute(const AttributeProto& from, const std::string& owner) const {
  Attribute result;
  result.name = from.name();
  result.reference = from.ref_attr_name();
  switch (type_of(from)) {
    case AttributeProto::INT: result.value = from.i(); break;
    case AttributeProto::FLOAT: result.value = from.f(); break;
    case AttributeProto::STRING: result.value = from.s(); break;
    case AttributeProto::TENSOR: result.value = tensor_(from.t(), owner); break;
    case AttributeProto::SPARSE_TENSOR: result.value = sparse(from.sparse_tensor(), owner); break;
    case AttributeProto::GRAPH:
      result.value = std::make_shared<const Graph>(graph(from.g()));
      break;
    case AttributeProto::INTS: result.value = list_of<int64_t>(from.ints()); break;
    case AttributeProto::FLOATS: result.value = list_of<float>(from.floats()); break;
    case AttributeProto::STRINGS: result.value = list_of<std::string>(from.strings()); break;
    case AttributeProto::TENSORS: {
      std::vector<StoredTensor> tensors;
      for (const auto& tensor : from.tensors()) tensors.push_back(tensor_(tensor, owner));
      result.value = std::move(tensors);
      break;
    }
    case AttributeProto::GRAPHS: {
      std::vector<std::shared_ptr<const Graph>> graphs;
      for (const auto& inner : from.graphs()) {
        graphs.push_back(std::make_shared<const Graph>(graph(inner)));
      }
      result.value = std::move(graphs);
      break;
    }
    default: break;  // type_proto: says nothing about values
  }
  if (!result.reference.empty()) result.value = std::monostate{};
  return result;
}

Node ProtoConverter::node(const proto::NodeProto& from, int index) const {
  Node result;
  result.name = from.name();
  result.op_type = from.op_type();
  result.domain = normal_domain(from.domain());
  result.overload = from.overload();
  result.inputs = list_of<std::string>(from.input());
  result.outputs = list_of<std::string>(from.output());
  result.index = index;
  const std::string owner = result.outputs.empty() ? result.label() : result.outputs.front();
  for (const auto& attr : from.attribute()) result.attributes.push_back(attribute(attr, owner));
  return result;
}

Graph ProtoConverter::graph(const proto::GraphProto& from) const {
  Graph result;
  result.name = from.name();
  for (const auto& tensor : from.initializer()) {
    result.initializers.push_back(tensor_(tensor, tensor.name()));
  }
  for (const auto& tensor : from.sparse_initializer()) {
    result.sparse_initializers.push_back(sparse(tensor, tensor.values().name()));
  }
  std::unordered_set<std::string_view> stored;
  for (const auto& tensor : result.initializers) stored.insert(tensor.name);
  for (const auto& tensor : result.sparse_initializers) stored.insert(tensor.values.name);
  for (const auto& input : from.input()) {
    if (stored.contains(input.name())) {
      result.overridable.push_back(input.name());
    } else {
      result.inputs.push_back(value_info_of(input.name(), input.type()));
    }
  }
  for (const auto& output : from.output()) {
    result.outputs.push_back(value_info_of(output.name(), output.type()));
  }
  for (const auto& value : from.value_info()) {
    result.values.push_back(value_info_of(value.name(), value.type()));
  }
  for (int index = 0; index < from.node_size(); ++index) {
    result.nodes.push_back(node(from.node(index), index));
  }
  return result;
}

Function ProtoConverter::function(const proto::FunctionProto& from) const {
  Function result;
  result.domain = normal_domain(from.domain());
  result.name = from.name();
  result.overload = from.overload();
  result.inputs = list_of<std::string>(from.input());
  result.outputs = list_of<std::string>(from.output());
  result.attributes = list_of<std::string>(from.attribute());
  for (const auto& attr : from.attribute_proto()) {
    result.default_attributes.push_back(attribute(attr, from.name()));
  }
  for (const auto& opset : from.opset_import()) {
    result.opsets[normal_domain(opset.domain())] = opset.version();
  }
  for (int index = 0; index < from.node_size(); ++index) {
    result.nodes.push_back(node(from.node(index), index));
  }
  return result;
}

}  // namespace sparsify
