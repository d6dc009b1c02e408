#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// What a `.pb` file beside an ONNX model holds. The file does not say which: the model's signature
/// does.
enum class ProtoKind { Tensor, Sequence, Optional };

/// A value of the ONNX data model.
struct ProtoValue {
  ProtoKind kind = ProtoKind::Tensor;
  std::string name;   ///< as stored; often empty
  HostTensor tensor;  ///< kind Tensor
  std::vector<ProtoValue>
      elements;  ///< of a sequence; of an optional: one, or none when it is empty
};

/// Decodes a serialized TensorProto, SequenceProto or OptionalProto (onnx/onnx.proto,
/// onnx-data.proto) from its wire format, without protobuf. All storage fields are read: `raw_data`
/// and the typed ones.
///
///   where   the file's path, for messages
///   throws  ResourceError for a truncated or foreign file, a size that does not match the shape,
///   sparse
///           tensors, maps, and tensors whose data lie in another file
ProtoValue read_proto_value(std::span<const std::byte> bytes, ProtoKind kind,
                            const std::string& where);
ProtoValue read_proto_file(const std::string& path, ProtoKind kind);

}  // namespace sparsify
