#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sparsify {

/// Element types with the numbers of ONNX's TensorProto.DataType.
enum class DType : int32_t {
  Undefined = 0,
  Float32 = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
};

/// Bits an element takes in `raw_data` (4 for the int4 types, two to a byte, low nibble first);
/// 0 for strings and unknown types.
int bits_of(DType type);

/// Bytes of `count` packed elements, rounded up to whole bytes.
int64_t bytes_for(DType type, int64_t count);

/// float32, float16, bfloat16, float64: the types whose weights can be pruned in place.
bool is_prunable_float(DType type);

/// `float32`, `int4`, `float8e4m3fn`; `type 99` for an unknown number.
std::string name_of(DType type);
/// The inverse, also for ONNX's own spelling (`FLOAT`, `float`, `tensor(float16)`); Undefined if unknown.
DType dtype_named(std::string_view name);

}  // namespace sparsify
