#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "program/op.h"

namespace sparsify {

/// The sliding window of a convolution or pooling node, one entry for each spatial axis.
struct Window {
  std::vector<int64_t> kernel{};
  std::vector<int64_t> strides{};
  std::vector<int64_t> dilations{};
  std::vector<int64_t> begin{};  ///< padding before the first element, auto_pad resolved
  std::vector<int64_t> end{};
  std::vector<int64_t> output{};  ///< how many positions the window takes; ceil_mode respected

  size_t rank() const { return kernel.size(); }
  /// Elements from the first to the last that the window covers.
  int64_t extent(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }
};

/// Reads strides, dilations, pads, auto_pad and ceil_mode of the node for an input [N, C,
/// spatial...].
///   kernel  spatial sizes of the window
/// throws ResourceError if an attribute has another number of axes, or a stride or dilation is not
/// positive
Window window_of(const OpCall& call, const at::Tensor& input, std::vector<int64_t> kernel);

/// An attribute with one integer for each of `axes` axes, `otherwise` for all when it is absent.
std::vector<int64_t> per_axis(const OpCall& call, std::string_view attribute, size_t axes,
                              int64_t otherwise);

/// Pads the spatial axes with `value`; negative amounts crop. Returns the input itself when there
/// is nothing to do.
at::Tensor pad_spatial(const at::Tensor& input, const std::vector<int64_t>& begin,
                       const std::vector<int64_t>& end, double value);

}  // namespace sparsify
