#include "onnx/fold_integers.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "onnx/evaluate_node.h"
#include "onnx/proto_convert.h"

namespace sparsify {
namespace {

/// Inference has named sizes that it could not see; the number says them.
void state_shape(const Dims& dims, proto::ValueInfoProto& value) {
  auto& shape = *value.mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.clear_dim();
  for (const int64_t size : dims) shape.add_dim()->set_dim_value(size);
}

bool is_open(const proto::TypeProto& type) {
  if (!type.has_tensor_type()) return !type.has_sequence_type() && !type.has_optional_type();
  if (!type.tensor_type().has_shape()) return true;
  const auto& dims = type.tensor_type().shape().dim();
  return std::any_of(dims.begin(), dims.end(), [](const auto& dim) { return !dim.has_dim_value(); });
}

}  // namespace

bool fold_integers(proto::GraphProto& graph) {
  KnownNumbers known;
  KnownShapes shapes;
  std::set<std::string> closed;
  for (const proto::TensorProto& tensor : graph.initializer()) {
    if (auto numbers = read_numbers(tensor)) known.insert_or_assign(tensor.name(), std::move(*numbers));
  }
  for (const auto* values : {&graph.input(), &graph.value_info(), &graph.output()}) {
    for (const proto::ValueInfoProto& value : *values) {
      if (value.type().has_tensor_type() && value.type().tensor_type().has_shape()) shapes[value.name()] = &value.type().tensor_type().shape();
      if (!is_open(value.type())) closed.insert(value.name());
    }
  }

  std::set<std::string> fresh;
  google::protobuf::RepeatedPtrField<proto::NodeProto> kept;
  bool more = false;
  for (proto::NodeProto& node : *graph.mutable_node()) {
    auto numbers = normal_domain(node.domain()).empty() && node.output_size() == 1 ? evaluate_node(node, known, shapes) : std::nullopt;
    if (!numbers || count_of(numbers->dims) > kFoldedElements) {
      const bool reads = std::any_of(node.input().begin(), node.input().end(), [&](const std::string& name) { return fresh.contains(name); });
      const bool open = std::any_of(node.output().begin(), node.output().end(), [&](const std::string& name) { return !name.empty() && !closed.contains(name); });
      more = more || (reads && open);
      kept.Add()->Swap(&node);
      continue;
    }
    for (double& value : numbers->values) value = stored(value, numbers->type);
    write_numbers(*numbers, node.output(0), *graph.add_initializer());
    fresh.insert(node.output(0));
    known.insert_or_assign(node.output(0), std::move(*numbers));
  }
  graph.mutable_node()->Swap(&kept);
  for (auto* values : {graph.mutable_value_info(), graph.mutable_output()}) {
    for (proto::ValueInfoProto& value : *values) {
      if (fresh.contains(value.name())) state_shape(known.at(value.name()).dims, value);
    }
  }
  return more;
}

}  // namespace sparsify
