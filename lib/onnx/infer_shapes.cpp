#include <onnx/shape_inference/implementation.h>

#include "onnx/checker.h"
#include "onnx/fold_integers.h"
#include "onnx/numbers.h"
#include "onnx/proto_convert.h"

namespace sparsify {
namespace {

using Bindings = std::map<std::string, int64_t>;
using Values = google::protobuf::RepeatedPtrField<proto::ValueInfoProto>;

void override_inputs(proto::GraphProto& graph, const std::map<std::string, Shape>& inputs,
                     Bindings& bindings, bool& contradicts) {
  for (proto::ValueInfoProto& input : *graph.mutable_input()) {
    const auto found = inputs.find(input.name());
    if (found == inputs.end() || !input.type().has_tensor_type()) continue;
    auto& type = *input.mutable_type()->mutable_tensor_type();
    const Shape& shape = found->second;
    const int rank = static_cast<int>(shape.size());
    contradicts = contradicts || (type.has_shape() && type.shape().dim_size() != rank);
    for (int axis = 0; axis < rank && axis < type.shape().dim_size(); ++axis) {
      const auto& dim = type.shape().dim(axis);
      if (dim.has_dim_param()) bindings[dim.dim_param()] = shape[axis];
      contradicts = contradicts || (dim.has_dim_value() && dim.dim_value() != shape[axis]);
    }
    type.clear_shape();
    type.mutable_shape();
    for (const int64_t size : shape) type.mutable_shape()->add_dim()->set_dim_value(size);
  }
}

void bind_type(proto::TypeProto& type, const Bindings& bindings) {
  if (type.has_sequence_type()) {
    bind_type(*type.mutable_sequence_type()->mutable_elem_type(), bindings);
  } else if (type.has_optional_type()) {
    bind_type(*type.mutable_optional_type()->mutable_elem_type(), bindings);
  } else if (type.has_tensor_type() && type.tensor_type().has_shape()) {
    for (auto& dim : *type.mutable_tensor_type()->mutable_shape()->mutable_dim()) {
      if (!dim.has_dim_param()) continue;
      const auto found = bindings.find(dim.dim_param());
      if (found != bindings.end()) dim.set_dim_value(found->second);
    }
  }
}

void bind_symbols(Values& values, const Bindings& bindings) {
  for (proto::ValueInfoProto& value : values) {
    if (value.has_type()) bind_type(*value.mutable_type(), bindings);
  }
}

/// Shapes that the file states for other input sizes would stop the inference.
void forget_shapes(proto::GraphProto& graph) {
  graph.clear_value_info();
  for (proto::ValueInfoProto& output : *graph.mutable_output()) {
    if (output.type().has_tensor_type()) {
      output.mutable_type()->mutable_tensor_type()->clear_shape();
    }
  }
  for (proto::NodeProto& node : *graph.mutable_node()) {
    for (proto::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) forget_shapes(*attribute.mutable_g());
    }
  }
}

void sort_nodes(proto::GraphProto& graph, const Graph& picture) {
  google::protobuf::RepeatedPtrField<proto::NodeProto> sorted;
  for (const int index : topological_order(picture)) sorted.Add()->Swap(graph.mutable_node(index));
  graph.mutable_node()->Swap(&sorted);
}

bool infer(proto::ModelProto& model) {
  try {
    do {
      proto::shape_inference::InferShapes(
          model, proto::OpSchemaRegistry::Instance(),
          proto::ShapeInferenceOptions(/*check_type=*/false, /*strict_mode=*/0, /*data_prop=*/true));
    } while (fold_integers(*model.mutable_graph()));
    return true;
  } catch (const std::exception&) {
    return false;  // what it found until here is in the model
  }
}

void collect(const Values& values, std::map<std::string, ValueInfo>& found) {
  for (const proto::ValueInfoProto& value : values) {
    ValueInfo info = value_info_of(value.name(), value.type());
    if (info.kind == ValueInfo::Kind::Unknown || info.type == DType::Undefined) continue;
    found.insert_or_assign(value.name(), std::move(info));
  }
}

}  // namespace

std::map<std::string, ValueInfo> infer_shapes(const ModelFile& file,
                                              const std::map<std::string, Shape>& inputs,
                                              const std::map<std::string, int64_t>& bindings) {
  proto::ModelProto model;
  model.ParseFromString(file.skeleton("payload", kFoldedElements * static_cast<int64_t>(sizeof(int64_t))));
  proto::GraphProto& graph = *model.mutable_graph();
  sort_nodes(graph, file.model().graph);

  Bindings symbols = bindings;
  bool contradicts = false;
  override_inputs(graph, inputs, symbols, contradicts);
  for (Values* values : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()}) {
    bind_symbols(*values, symbols);
  }
  if (contradicts) forget_shapes(graph);
  proto::ModelProto second = model;
  if (!infer(model) && !contradicts) {
    // The file's own statements do not fit together, or do not fit the sizes asked for.
    forget_shapes(*second.mutable_graph());
    infer(second);
    model.Swap(&second);
  }

  std::map<std::string, ValueInfo> found;
  for (const StoredTensor& tensor : file.model().graph.initializers) {
    ValueInfo info{tensor.name, ValueInfo::Kind::Tensor, tensor.type, std::vector<Dimension>()};
    for (const int64_t size : tensor.shape) info.shape->push_back({size, ""});
    found.emplace(tensor.name, std::move(info));
  }
  for (const Values* values : {&graph.input(), &graph.value_info(), &graph.output()}) {
    collect(*values, found);
  }
  return found;
}

}  // namespace sparsify
