#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "onnx/wire.h"

namespace sparsify {

/// A message on the way from the model to a tensor, or a tensor itself. Parents come before children.
struct Frame {
  int parent = -1;     ///< -1: the model
  size_t length = 0;   ///< of the length prefix
  size_t payload = 0;  ///< of the message
  size_t end = 0;
};

/// Consecutive fields of one number and wire type.
struct FieldRun {
  uint32_t number = 0;
  wire::Type type = wire::Bytes;
  size_t begin = 0;  ///< of the first tag
  size_t end = 0;
  int frame = -1;
};

/// Where the bytes of one TensorProto are. Several frames where the file spreads one message over several
/// fields, which protobuf merges.
struct ScannedTensor {
  std::vector<int> frames;
  std::vector<FieldRun> data;  ///< raw_data, float_data ... in the order of the file
  bool has_segment = false;
};

struct ModelScan {
  std::vector<Frame> frames;
  std::vector<ScannedTensor> tensors;
  bool has_graph = false;
  bool has_ir_version = false;
};

/// Field numbers of TensorProto (onnx.proto).
namespace tensor_field {
inline constexpr uint32_t kSegment = 3;
inline constexpr uint32_t kFloatData = 4;
inline constexpr uint32_t kInt32Data = 5;
inline constexpr uint32_t kStringData = 6;
inline constexpr uint32_t kInt64Data = 7;
inline constexpr uint32_t kRawData = 9;
inline constexpr uint32_t kDoubleData = 10;
inline constexpr uint32_t kUint64Data = 11;
inline constexpr uint32_t kExternalData = 13;
inline constexpr uint32_t kDataLocation = 14;
}  // namespace tensor_field

/// Every TensorProto of a ModelProto: initializers, attributes, subgraphs, functions, training graphs.
/// Throws wire::Fault.
ModelScan scan_model(std::span<const std::byte> file);

}  // namespace sparsify
