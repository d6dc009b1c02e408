#include "tensor/host_tensor.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tensor/half.h"

namespace sparsify {
namespace {

constexpr size_t kAlignment = 64;

/// Zero-filled, aligned memory; `bytes` may be 0.
std::shared_ptr<std::byte> allocate(int64_t bytes, DType type, const Shape& shape) {
  const auto rounded = (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = bytes < 0 || bytes > std::numeric_limits<int64_t>::max() / 2
                     ? nullptr
                     : std::aligned_alloc(kAlignment, rounded == 0 ? kAlignment : rounded);
  if (memory == nullptr) {
    throw ExhaustedError{{.what = fmt::format("no memory for {} bytes", bytes),
                          .where = fmt::format("a {} tensor of shape {}", name_of(type), to_text(shape)),
                          .fix = "close other programs, use a smaller batch, or a machine with more memory"}};
  }
  std::memset(memory, 0, rounded);
  return {static_cast<std::byte*>(memory), [](std::byte* block) { std::free(block); }};
}

template <class T>
T load(const std::byte* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <class T, class Out>
void convert(const std::byte* bytes, int64_t first, std::span<Out> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<Out>(load<T>(bytes, first + static_cast<int64_t>(i)));
  }
}

/// Element `index` of a type with `bits` < 8 bits, lowest bits first, as its unsigned pattern.
int packed_bits(const std::byte* bytes, int64_t index, int bits) {
  const int64_t per_byte = 8 / bits;
  const auto byte = static_cast<int>(bytes[index / per_byte]);
  return (byte >> (index % per_byte * bits)) & ((1 << bits) - 1);
}

template <class Out>
void convert_packed(const std::byte* bytes, int64_t first, int bits, bool is_signed,
                    std::span<Out> out) {
  const int half = 1 << (bits - 1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int pattern = packed_bits(bytes, first + static_cast<int64_t>(i), bits);
    out[i] = static_cast<Out>(is_signed && pattern >= half ? pattern - 2 * half : pattern);
  }
}

/// False when the type is not an integer type or bool.
template <class Out>
bool read_integer_types(const HostTensor& tensor, int64_t first, std::span<Out> out) {
  const std::byte* bytes = tensor.bytes().data();
  switch (tensor.type()) {
    case DType::UInt8: convert<uint8_t>(bytes, first, out); return true;
    case DType::Int8: convert<int8_t>(bytes, first, out); return true;
    case DType::UInt16: convert<uint16_t>(bytes, first, out); return true;
    case DType::Int16: convert<int16_t>(bytes, first, out); return true;
    case DType::Int32: convert<int32_t>(bytes, first, out); return true;
    case DType::Int64: convert<int64_t>(bytes, first, out); return true;
    case DType::UInt32: convert<uint32_t>(bytes, first, out); return true;
    case DType::UInt64: convert<uint64_t>(bytes, first, out); return true;
    case DType::Bool:
      for (size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<Out>(bytes[first + static_cast<int64_t>(i)] != std::byte{0});
      }
      return true;
    case DType::UInt4: convert_packed(bytes, first, 4, false, out); return true;
    case DType::Int4: convert_packed(bytes, first, 4, true, out); return true;
    case DType::UInt2: convert_packed(bytes, first, 2, false, out); return true;
    case DType::Int2: convert_packed(bytes, first, 2, true, out); return true;
    default: return false;
  }
}

void read_float8s(const HostTensor& tensor, int64_t first, int exponent_bits, bool finite, bool fnuz,
                  std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const auto bits = load<uint8_t>(tensor.bytes().data(), first + static_cast<int64_t>(i));
    out[i] = small_float_to_float(bits, exponent_bits, finite, fnuz);
  }
}

bool read_narrow_floats(const HostTensor& tensor, int64_t first, std::span<float> out) {
  const std::byte* bytes = tensor.bytes().data();
  switch (tensor.type()) {
    case DType::Float8E4M3FN: read_float8s(tensor, first, 4, true, false, out); return true;
    case DType::Float8E4M3FNUZ: read_float8s(tensor, first, 4, true, true, out); return true;
    case DType::Float8E5M2: read_float8s(tensor, first, 5, false, false, out); return true;
    case DType::Float8E5M2FNUZ: read_float8s(tensor, first, 5, false, true, out); return true;
    case DType::Float8E8M0:
      for (size_t i = 0; i < out.size(); ++i) {
        const auto bits = load<uint8_t>(bytes, first + static_cast<int64_t>(i));
        out[i] = bits == 255 ? std::numeric_limits<float>::quiet_NaN()
                             : std::ldexp(1.0f, static_cast<int>(bits) - 127);
      }
      return true;
    case DType::Float4E2M1: {
      constexpr std::array<float, 8> magnitudes{0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
      for (size_t i = 0; i < out.size(); ++i) {
        const int pattern = packed_bits(bytes, first + static_cast<int64_t>(i), 4);
        out[i] = (pattern & 8) != 0 ? -magnitudes[pattern & 7] : magnitudes[pattern & 7];
      }
      return true;
    }
    default: return false;
  }
}

}  // namespace

HostTensor::HostTensor(DType type, Shape shape) : type_(type), shape_(std::move(shape)) {
  if (type_ == DType::String) {
    strings_.resize(static_cast<size_t>(count()));
    return;
  }
  const int64_t size = bytes_for(type_, count());
  const std::shared_ptr<std::byte> memory = allocate(size, type_, shape_);
  writable_ = memory.get();
  bytes_ = {writable_, static_cast<size_t>(size)};
  owner_ = memory;
}

HostTensor::HostTensor(DType type, Shape shape, std::span<const std::byte> bytes,
                       std::shared_ptr<const void> owner)
    : type_(type), shape_(std::move(shape)), bytes_(bytes), owner_(std::move(owner)) {
  invariant(static_cast<int64_t>(bytes.size()) == bytes_for(type_, count()),
            "a tensor's bytes fit its shape");
}

HostTensor HostTensor::of_strings(Shape shape, std::vector<std::string> strings) {
  HostTensor tensor;
  tensor.type_ = DType::String;
  tensor.shape_ = std::move(shape);
  tensor.strings_ = std::move(strings);
  invariant(static_cast<int64_t>(tensor.strings_.size()) == tensor.count(),
            "a tensor's strings fit its shape");
  return tensor;
}

std::span<std::byte> HostTensor::mutable_bytes() {
  if (writable_ == nullptr && type_ != DType::Undefined) {
    throw std::logic_error("a view of foreign memory is read-only");
  }
  return {writable_, bytes_.size()};
}

HostTensor HostTensor::copy() const {
  if (type_ == DType::String || type_ == DType::Undefined) return *this;
  HostTensor result(type_, shape_);
  if (!bytes_.empty()) std::memcpy(result.writable_, bytes_.data(), bytes_.size());
  return result;
}

HostTensor HostTensor::reshaped(Shape shape) const {
  HostTensor result = *this;
  result.shape_ = std::move(shape);
  invariant(result.count() == count(), "a new shape has as many elements");
  return result;
}

void HostTensor::read_floats(int64_t first, std::span<float> out) const {
  invariant(first >= 0 && first + static_cast<int64_t>(out.size()) <= count(),
            "the elements to read are in the tensor");
  const std::byte* bytes = bytes_.data();
  if (out.empty()) return;
  switch (type_) {
    case DType::Float32: std::memcpy(out.data(), bytes + 4 * first, out.size_bytes()); return;
    case DType::Float16: halves_to_floats(bytes + 2 * first, out.data(), out.size()); return;
    case DType::BFloat16: bfloat16s_to_floats(bytes + 2 * first, out.data(), out.size()); return;
    case DType::Float64: convert<double>(bytes, first, out); return;
    default: break;
  }
  invariant(read_integer_types(*this, first, out) || read_narrow_floats(*this, first, out),
            "the element type has a float value");
}

std::vector<float> HostTensor::to_floats() const {
  std::vector<float> values(static_cast<size_t>(count()));
  read_floats(0, values);
  return values;
}

std::vector<int64_t> HostTensor::to_integers() const {
  std::vector<int64_t> values(static_cast<size_t>(count()));
  invariant(read_integer_types<int64_t>(*this, 0, values), "the elements are integers");
  return values;
}

}  // namespace sparsify
