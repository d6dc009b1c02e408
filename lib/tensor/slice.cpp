#include "tensor/slice.h"

#include <cstring>

#include "base/error.h"

namespace sparsify {
namespace {

/// Elements of less than a byte share bytes, low bits first.
void copy_bits(std::span<const std::byte> from, int64_t source, std::span<std::byte> to, int64_t target, int64_t count, int bits) {
  const int per_byte = 8 / bits;
  const auto mask = static_cast<uint8_t>((1 << bits) - 1);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = source + i;
    const auto value = static_cast<uint8_t>(static_cast<uint8_t>(from[static_cast<size_t>(at / per_byte)]) >> (at % per_byte * bits) & mask);
    const int64_t place = target + i;
    auto& byte = to[static_cast<size_t>(place / per_byte)];
    byte |= static_cast<std::byte>(value << (place % per_byte * bits));
  }
}

HostTensor sliced_once(const HostTensor& tensor, const AxisSlice& slice) {
  const AxisSplit split = split_at(tensor.shape(), slice.axis);
  Shape shape = tensor.shape();
  const auto kept = static_cast<int64_t>(slice.kept.size());
  shape[static_cast<size_t>(slice.axis)] = kept;
  if (tensor.type() == DType::String) {
    std::vector<std::string> strings;
    for (int64_t outer = 0; outer < split.outer; ++outer) {
      for (const int64_t index : slice.kept) {
        const auto begin = tensor.strings().begin() + (outer * split.size + index) * split.inner;
        strings.insert(strings.end(), begin, begin + split.inner);
      }
    }
    return HostTensor::of_strings(shape, std::move(strings));
  }
  HostTensor result(tensor.type(), shape);
  const int bits = bits_of(tensor.type());
  const auto from = tensor.bytes();
  const auto to = result.mutable_bytes();
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t i = 0; i < kept; ++i) {
      const int64_t source = (outer * split.size + slice.kept[static_cast<size_t>(i)]) * split.inner;
      const int64_t target = (outer * kept + i) * split.inner;
      if (bits < 8) {
        copy_bits(from, source, to, target, split.inner, bits);
      } else {
        const auto width = static_cast<size_t>(bits / 8);
        std::memcpy(to.data() + static_cast<size_t>(target) * width, from.data() + static_cast<size_t>(source) * width,
                    static_cast<size_t>(split.inner) * width);
      }
    }
  }
  return result;
}

}  // namespace

AxisSplit split_at(const Shape& shape, int axis) {
  AxisSplit split;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    (i < axis ? split.outer : i == axis ? split.size : split.inner) *= shape[static_cast<size_t>(i)];
  }
  return split;
}

Shape sliced_shape(const Shape& shape, const std::vector<AxisSlice>& slices) {
  Shape result = shape;
  for (const AxisSlice& slice : slices) {
    invariant(slice.axis >= 0 && slice.axis < static_cast<int>(shape.size()), "a slice names an axis of the tensor");
    result[static_cast<size_t>(slice.axis)] = static_cast<int64_t>(slice.kept.size());
  }
  return result;
}

HostTensor sliced(const HostTensor& tensor, const std::vector<AxisSlice>& slices) {
  HostTensor result = tensor;
  for (const AxisSlice& slice : slices) {
    invariant(slice.axis >= 0 && slice.axis < static_cast<int>(tensor.shape().size()), "a slice names an axis of the tensor");
    for (const int64_t index : slice.kept) {
      invariant(index >= 0 && index < tensor.shape()[static_cast<size_t>(slice.axis)], "a slice keeps indices that there are");
    }
    result = sliced_once(result, slice);
  }
  return result;
}

}  // namespace sparsify
