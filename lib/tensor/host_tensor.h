#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace sparsify {

/// A dense tensor in host memory, row-major, little-endian, packed as in ONNX's `raw_data`.
/// Copies share the buffer; it is aligned to 64 bytes unless it views foreign memory.
class HostTensor {
 public:
  HostTensor() = default;
  /// Zero-filled. Throws ExhaustedError (with the size asked for) when there is no memory.
  HostTensor(DType type, Shape shape);
  /// A view of memory that `owner` keeps alive, such as a mapped file.
  HostTensor(DType type, Shape shape, std::span<const std::byte> bytes,
             std::shared_ptr<const void> owner);
  static HostTensor of_strings(Shape shape, std::vector<std::string> strings);

  template <class T>
  static HostTensor of(DType type, Shape shape, const std::vector<T>& values) {
    HostTensor tensor(type, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.mutable_data<T>());
    return tensor;
  }

  DType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  int64_t count() const { return element_count(shape_); }
  std::span<const std::byte> bytes() const { return bytes_; }
  /// Only for type() == String.
  const std::vector<std::string>& strings() const { return strings_; }

  /// T must be the type's C++ representation (uint16_t for float16 and bfloat16, uint8_t for bool).
  /// A view of a mapped file may be unaligned: use copy() first where that matters.
  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes_.data());
  }
  template <class T>
  T* mutable_data() {
    return reinterpret_cast<T*>(mutable_bytes().data());
  }
  /// Throws std::logic_error on a view.
  std::span<std::byte> mutable_bytes();

  /// An own, aligned buffer with the same content.
  HostTensor copy() const;
  HostTensor reshaped(Shape shape) const;

  /// Elements [first, first + out.size()) as float32; float and integer types and bool.
  void read_floats(int64_t first, std::span<float> out) const;
  std::vector<float> to_floats() const;
  /// Integer types and bool.
  std::vector<int64_t> to_integers() const;

 private:
  DType type_ = DType::Undefined;
  Shape shape_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  std::byte* writable_ = nullptr;
  std::vector<std::string> strings_;
};

/// IEEE 754 conversions, round to nearest even (AVX2/F16C where the processor has it).
float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
inline float bfloat16_to_float(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}
uint16_t float_to_bfloat16(float value);

}  // namespace sparsify
