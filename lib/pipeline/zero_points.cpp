#include "pipeline/zero_points.h"

#include <algorithm>
#include <cstring>

#include "tensor/slice.h"

namespace sparsify {

std::map<int, ZeroPoints> find_zero_points(const ModelFile& file) {
  std::map<int, ZeroPoints> found;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    if (tensor.zero_point_id < 0 || is_prunable_float(tensor.type) || bits_of(tensor.type) < 8) continue;
    HostTensor values = file.tensor_data(tensor.zero_point_id);
    const int64_t wanted = tensor.scale_axis < 0 ? 1 : tensor.shape[static_cast<size_t>(tensor.scale_axis)];
    if (values.type() != tensor.type || values.count() != wanted) continue;
    const std::vector<int64_t> numbers = values.to_integers();
    if (std::all_of(numbers.begin(), numbers.end(), [](int64_t number) { return number == 0; })) continue;
    found.emplace(tensor.id, ZeroPoints{.values = std::move(values), .axis = tensor.scale_axis});
  }
  return found;
}

void write_zero_points_(const BitMask& mask, const ZeroPoints& zero, HostTensor& weight) {
  const auto width = static_cast<size_t>(bits_of(weight.type()) / 8);
  const AxisSplit at = zero.axis < 0 ? AxisSplit{1, 1, weight.count()} : split_at(weight.shape(), zero.axis);
  const std::byte* const from = zero.values.bytes().data();
  std::byte* const to = weight.mutable_bytes().data();
  for (int64_t i = 0; i < weight.count(); ++i) {
    if (!mask[i]) std::memcpy(to + static_cast<size_t>(i) * width, from + static_cast<size_t>(i / at.inner % at.size) * width, width);
  }
}

}  // namespace sparsify
