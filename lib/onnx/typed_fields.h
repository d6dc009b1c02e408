#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "onnx/tensor_scan.h"
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

/// A run again with other values. `value(i, bits)` gives the new bits of the field's i-th value (of the whole
/// tensor) from the old ones; values it leaves alone keep their bytes.
///
///   first   number of the run's first value
///   returns the bytes of the run; `first` is advanced past its values
using NewValue = std::function<uint64_t(int64_t index, uint64_t bits)>;
std::string rewrite_run(std::span<const std::byte> file, const FieldRun& run, int64_t& first,
                        const NewValue& value);

/// The bits of value `index` of a typed field for a decoded tensor, sign-extended where the field is signed.
uint64_t typed_value(const HostTensor& tensor, int64_t index);

}  // namespace sparsify
