#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "onnx/tensor_scan.h"
#include "tensor/bit_mask.h"
#include "tensor/host_tensor.h"

namespace sparsify {

/// The typed data fields of TensorProto (float_data, int32_data ...), read and rewritten in place of the file,
/// whether their values are packed or not.

/// The field that holds the values of a type, and `float_data`-like names for messages; 0 for unknown types.
uint32_t typed_field_of(DType type);
std::string field_name(uint32_t number);

/// How many values of that field `count` elements take: two for complex types; sub-byte types share a value,
/// as they share a byte in raw_data.
int64_t entries_for(DType type, int64_t count);

/// Counts the values in the runs of one field, and checks that they are well-formed. Throws wire::Fault.
int64_t count_entries(std::span<const std::byte> file, const std::vector<FieldRun>& runs,
                      uint32_t number);

/// Decoded, for runs that count_entries() has accepted with entries_for() values.
HostTensor decode_typed(std::span<const std::byte> file, const std::vector<FieldRun>& runs,
                        DType type, const Shape& shape);

/// The payload of the last raw_data field; nullopt if there is none.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
  int frame = -1;
};
std::optional<ByteRange> raw_range(std::span<const std::byte> file,
                                   const std::vector<FieldRun>& runs);

/// What a tensor's values become: zero where `mask` prunes, or those of `tensor`.
struct TypedEdit {
  const BitMask* mask = nullptr;
  const HostTensor* tensor = nullptr;
};

/// A run again with other values. Values that stay keep their bytes, and packed ones stay packed.
///
///   first   number of the run's first value in the whole tensor; is advanced past the run
///   returns the bytes of the run
std::string rewrite_run(std::span<const std::byte> file, const FieldRun& run, int64_t& first,
                        const TypedEdit& edit);

/// All values of a tensor as fields of the number that its type has: one packed field, or one field a value.
std::string encode_typed(const HostTensor& tensor, bool packed);

/// Bytes of a value in float_data (4) and double_data (8); 0 for varint fields.
int fixed_width(uint32_t number);

}  // namespace sparsify
