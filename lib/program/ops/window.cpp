#include "program/ops/window.h"

#include <ATen/ops/constant_pad_nd.h>
#include <fmt/core.h>

#include <algorithm>

namespace sparsify {

std::vector<int64_t> per_axis(const OpCall& call, std::string_view attribute, size_t axes,
                              int64_t otherwise) {
  std::vector<int64_t> values = call.attribute_integers(attribute);
  if (values.empty()) values.assign(axes, otherwise);
  if (values.size() != axes) {
    call.fail(
        fmt::format("attribute \"{}\" has {} entries for {} axes", attribute, values.size(), axes),
        "export the model again");
  }
  return values;
}

Window window_of(const OpCall& call, const at::Tensor& input, std::vector<int64_t> kernel) {
  const size_t axes = kernel.size();
  if (input.dim() != static_cast<int64_t>(axes) + 2) {
    call.fail(fmt::format("the input has rank {}, a window of {} axes needs rank {}", input.dim(),
                          axes, axes + 2),
              "check the graph");
  }
  Window window{.kernel = std::move(kernel)};
  window.strides = per_axis(call, "strides", axes, 1);
  window.dilations = per_axis(call, "dilations", axes, 1);
  const std::vector<int64_t> pads = per_axis(call, "pads", 2 * axes, 0);
  window.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  window.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  const std::string auto_pad = call.attribute_text("auto_pad", "NOTSET");
  const bool ceil_mode = call.attribute("ceil_mode", 0) != 0;
  window.output.resize(axes);
  for (size_t axis = 0; axis < axes; ++axis) {
    const int64_t stride = window.strides[axis];
    if (stride < 1 || window.dilations[axis] < 1 || window.kernel[axis] < 1) {
      call.fail("a stride, dilation or kernel size is not positive", "export the model again");
    }
    const int64_t size = input.size(static_cast<int64_t>(axis) + 2);
    const int64_t extent = window.extent(axis);
    if (auto_pad == "VALID") window.begin[axis] = window.end[axis] = 0;
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      const int64_t positions = (size + stride - 1) / stride;
      const int64_t total = std::max<int64_t>(0, (positions - 1) * stride + extent - size);
      window.begin[axis] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      window.end[axis] = total - window.begin[axis];
    }
    const int64_t room = size + window.begin[axis] + window.end[axis] - extent;
    if (room < 0) {
      call.fail(fmt::format("the window covers {} elements, the padded input has {} along axis {}",
                            extent, extent + room, axis + 2),
                "use a larger input");
    }
    int64_t positions = (ceil_mode ? room + stride - 1 : room) / stride + 1;
    // A last window that would start in the padding behind the input is left out.
    if (ceil_mode && (positions - 1) * stride >= size + window.begin[axis]) --positions;
    window.output[axis] = positions;
  }
  return window;
}

at::Tensor pad_spatial(const at::Tensor& input, const std::vector<int64_t>& begin,
                       const std::vector<int64_t>& end, double value) {
  std::vector<int64_t> pads;  // LibTorch counts axes from the last one
  for (size_t axis = begin.size(); axis-- > 0;) {
    pads.push_back(begin[axis]);
    pads.push_back(end[axis]);
  }
  const bool nothing = std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; });
  return nothing ? input : at::constant_pad_nd(input, pads, value);
}

}  // namespace sparsify
