#include <onnx/defs/schema.h>

#include "onnx/checker.h"
#include "onnx/proto_convert.h"
#include "tensor/tensor_proto.h"

namespace sparsify {
namespace {

/// False for attributes that hold tensors or graphs: no schema function with a context-dependent body but
/// SequenceMap reads one, and that has its own kernel.
bool to_proto(const Attribute& from, proto::AttributeProto& to) {
  to.set_name(from.name);
  if (const auto* number = std::get_if<int64_t>(&from.value)) {
    to.set_type(proto::AttributeProto::INT);
    to.set_i(*number);
  } else if (const auto* real = std::get_if<float>(&from.value)) {
    to.set_type(proto::AttributeProto::FLOAT);
    to.set_f(*real);
  } else if (const auto* text = std::get_if<std::string>(&from.value)) {
    to.set_type(proto::AttributeProto::STRING);
    to.set_s(*text);
  } else if (const auto* numbers = std::get_if<std::vector<int64_t>>(&from.value)) {
    to.set_type(proto::AttributeProto::INTS);
    to.mutable_ints()->Add(numbers->begin(), numbers->end());
  } else if (const auto* reals = std::get_if<std::vector<float>>(&from.value)) {
    to.set_type(proto::AttributeProto::FLOATS);
    to.mutable_floats()->Add(reals->begin(), reals->end());
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&from.value)) {
    to.set_type(proto::AttributeProto::STRINGS);
    for (const std::string& each : *texts) to.add_strings(each);
  } else {
    return false;
  }
  return true;
}

bool build_for_types(const proto::OpSchema& schema, const Node& node, int opset,
                     const std::vector<ValueInfo>& inputs, proto::FunctionProto& body) {
  proto::NodeProto call;
  call.set_op_type(node.op_type);
  call.set_domain(node.domain);
  for (const std::string& input : node.inputs) call.add_input(input);
  for (const std::string& output : node.outputs) call.add_output(output);
  for (const Attribute& attribute : node.attributes) {
    if (!to_proto(attribute, *call.add_attribute())) return false;
  }
  std::vector<proto::TypeProto> types(node.inputs.size());
  for (size_t i = 0; i < types.size() && i < inputs.size(); ++i) {
    if (inputs[i].type == DType::Undefined) continue;
    auto& type = *types[i].mutable_tensor_type();
    type.set_elem_type(static_cast<int>(inputs[i].type));
    if (!inputs[i].shape) continue;
    type.mutable_shape();
    for (const Dimension& dimension : *inputs[i].shape) {
      auto& dim = *type.mutable_shape()->add_dim();
      if (dimension.size >= 0) dim.set_dim_value(dimension.size);
    }
  }
  const proto::FunctionBodyBuildContextImpl context(call, types);
  return schema.BuildContextDependentFunction(context, body, opset);
}

StoredTensor stored_inline(const proto::TensorProto& tensor, const std::string& name) {
  const std::string bytes = tensor.SerializeAsString();
  ProtoValue value = read_proto_value(std::as_bytes(std::span(bytes.data(), bytes.size())),
                                      ProtoKind::Tensor, name);
  StoredTensor stored;
  stored.name = name;
  stored.type = value.tensor.type();
  stored.shape = value.tensor.shape();
  stored.value = std::make_shared<const HostTensor>(std::move(value.tensor));
  return stored;
}

}  // namespace

std::optional<Function> expand_function(const Node& node, int64_t opset,
                                        const std::vector<ValueInfo>& inputs) {
  const auto version = static_cast<int>(opset);
  const proto::OpSchema* schema =
      proto::OpSchemaRegistry::Schema(node.op_type, version, node.domain);
  if (schema == nullptr) return std::nullopt;
  proto::FunctionProto body;
  if (const proto::FunctionProto* fixed = schema->GetFunction(version)) {
    body = *fixed;
  } else if (!schema->HasContextDependentFunction() ||
             !build_for_types(*schema, node, version, inputs, body)) {
    return std::nullopt;
  }
  const ProtoConverter converter(stored_inline);
  Function function = converter.function(body);
  function.domain = node.domain;
  function.name = node.op_type;
  function.attributes.clear();
  for (const auto& [name, attribute] : schema->attributes()) {
    if (attribute.default_value.name().empty()) {
      if (attribute.required) function.attributes.push_back(name);
      continue;
    }
    proto::NodeProto holder;
    *holder.add_attribute() = attribute.default_value;
    function.default_attributes.push_back(converter.node(holder, 0).attributes.front());
  }
  function.opsets.try_emplace(node.domain, opset);  // a body means the opset that it imports itself
  return function;
}

}  // namespace sparsify
