#pragma once

#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// The indices that stay along one axis, ascending or in any other order.
struct AxisSlice {
  int axis = 0;
  std::vector<int64_t> kept;
};

/// A tensor seen as [outer, size, inner]: the axis and what lies on both sides of it.
struct AxisSplit {
  int64_t outer = 1;
  int64_t size = 1;
  int64_t inner = 1;
};
AxisSplit split_at(const Shape& shape, int axis);

/// The shape after all slices (each axis at most once).
Shape sliced_shape(const Shape& shape, const std::vector<AxisSlice>& slices);

/// The elements that stay, of any type, packed types of less than 8 bits included.
/// Indices must lie in their axis (`invariant`).
HostTensor sliced(const HostTensor& tensor, const std::vector<AxisSlice>& slices);

}  // namespace sparsify
