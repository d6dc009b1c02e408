#pragma once

// Only for .cpp files of onnx/: everything else sees the graph without protobuf.
#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <string>

#include "onnx/graph.h"

namespace sparsify {

namespace proto = ONNX_NAMESPACE;

/// Makes the protobuf-free picture. How a tensor becomes a StoredTensor is the caller's: a model file knows ids.
class ProtoConverter {
 public:
  using TensorSource =
      std::function<StoredTensor(const proto::TensorProto& tensor, const std::string& name)>;

  explicit ProtoConverter(TensorSource tensor) : tensor_(std::move(tensor)) {}

  Graph graph(const proto::GraphProto& from) const;
  Function function(const proto::FunctionProto& from) const;
  Node node(const proto::NodeProto& from, int index) const;

 private:
  Attribute attribute(const proto::AttributeProto& from, const std::string& owner) const;
  StoredSparseTensor sparse(const proto::SparseTensorProto& from, const std::string& name) const;

  TensorSource tensor_;
};

ValueInfo value_info_of(const std::string& name, const proto::TypeProto& type);

/// "" for the default domain, which may be spelled "ai.onnx".
std::string normal_domain(const std::string& domain);

}  // namespace sparsify
