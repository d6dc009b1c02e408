#pragma once

#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// The indices that stay along one axis, ascending or in any other order.
struct AxisSlice {
  int axis = 0;
  std::vector<int64_t> kept;
};

/// The shape after all slices (each axis at most once).
Shape sliced_shape(const Shape& shape, const std::vector<AxisSlice>& slices);

/// The elements that stay, of any type, packed types of less than 8 bits included.
/// Indices must lie in their axis (`invariant`).
HostTensor sliced(const HostTensor& tensor, const std::vector<AxisSlice>& slices);

}  // namespace sparsify
