// Convolutions over 1 to 3 spatial axes: X [N, C, spatial...], W [M, C/group, kernel...], B [M].
#include "program/ops/convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/convolution.h>
#include <fmt/format.h>

#include <algorithm>

#include "program/ops/window.h"

namespace sparsify {
namespace {

std::optional<at::Tensor> optional_tensor(const OpCall& call, size_t input) {
  return call.has(input) ? std::optional(call.tensor(input)) : std::nullopt;
}

std::vector<int64_t> kernel_of(const OpCall& call, const at::Tensor& weight) {
  if (weight.dim() < 3 || weight.dim() > 5) {
    call.fail(
        fmt::format("the weight has rank {}; 1 to 3 spatial axes are supported", weight.dim()),
        "express the node by convolutions over at most 3 axes");
  }
  const std::vector<int64_t> kernel = weight.sizes().slice(2).vec(), stated = call.attribute_integers("kernel_shape");
  if (!stated.empty() && stated != kernel) {
    call.fail(fmt::format("kernel_shape [{}] contradicts the weight of shape {}", fmt::join(stated, ", "), Value(weight).describe()),
              "remove the attribute, or correct the weight");
  }
  return kernel;
}

void conv(OpCall& call) { call.set(0, convolve(call, optional_tensor(call, 2))); }

/// Padding of ConvTranspose cuts the output. `output_shape` and auto_pad give the size wanted
/// instead.
void resolve_transposed_padding(const OpCall& call, const at::Tensor& input,
                                const std::vector<int64_t>& output_padding, Window& window) {
  const std::string auto_pad = call.attribute_text("auto_pad", "NOTSET");
  std::vector<int64_t> wanted = call.attribute_integers("output_shape");
  const size_t axes = window.rank();
  if (wanted.size() == axes + 2)
    wanted.erase(wanted.begin(), wanted.begin() + 2);  // some exporters give N and C too
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (wanted.empty() && !same) return;
  for (size_t axis = 0; axis < axes; ++axis) {
    const int64_t size = input.size(static_cast<int64_t>(axis) + 2);
    const int64_t full =
        (size - 1) * window.strides[axis] + window.extent(axis) + output_padding[axis];
    const int64_t target = wanted.empty() ? size * window.strides[axis] : wanted[axis];
    // A target beyond the full size only grows the end.
    const int64_t total = full - target;
    const int64_t half = total > 0 ? total / 2 : 0;
    window.begin[axis] = auto_pad == "SAME_UPPER" ? half : std::max<int64_t>(total, 0) - half;
    window.end[axis] = total - window.begin[axis];
  }
}

void transposed(OpCall& call, const std::optional<std::vector<int64_t>>& given_pads, const std::optional<at::Tensor>& bias) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor& weight = call.tensor(1);  // [C, M/group, kernel...]
  Window window{.kernel = kernel_of(call, weight)};
  const size_t axes = window.rank();
  window.strides = per_axis(call, "strides", axes, 1);
  window.dilations = per_axis(call, "dilations", axes, 1);
  const std::vector<int64_t> output_padding = per_axis(call, "output_padding", axes, 0);
  const std::vector<int64_t> pads = given_pads ? *given_pads : per_axis(call, "pads", 2 * axes, 0);
  if (pads.size() != 2 * axes) {
    call.fail(fmt::format("{} pads for {} axes", pads.size(), axes), "give two pads for each spatial axis");
  }
  window.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  window.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  if (call.attribute_text("auto_pad", "NOTSET") == "VALID")
    window.begin = window.end = std::vector<int64_t>(axes, 0);
  resolve_transposed_padding(call, input, output_padding, window);

  const int64_t group = call.attribute("group", 1);
  bool direct = window.begin == window.end;
  for (size_t axis = 0; axis < axes; ++axis) {
    direct = direct && window.begin[axis] >= 0 &&
             output_padding[axis] < std::max(window.strides[axis], window.dilations[axis]);
  }
  if (direct) {
    call.set(0, at::convolution(input, weight, bias, window.strides, window.begin, window.dilations,
                                true, output_padding, group));
    return;
  }
  const std::vector<int64_t> zeros(axes, 0);
  at::Tensor full = at::convolution(input, weight, std::nullopt, window.strides, zeros,
                                    window.dilations, true, zeros, group);
  std::vector<int64_t> begin(axes);
  std::vector<int64_t> end(axes);
  for (size_t axis = 0; axis < axes; ++axis) {
    begin[axis] = -window.begin[axis];
    end[axis] = output_padding[axis] - window.end[axis];
  }
  full = pad_spatial(full, begin, end, 0);
  if (bias) {
    std::vector<int64_t> shape(axes + 1, 1);
    shape[0] = -1;
    full = full + bias->view(shape);
  }
  call.set(0, full);
}

void conv_transpose(OpCall& call) { transposed(call, std::nullopt, optional_tensor(call, 2)); }

/// com.microsoft: X, W, pads, B
void conv_transpose_with_pads(OpCall& call) {
  transposed(call, call.has(2) ? std::optional(call.integers(2)) : std::nullopt, optional_tensor(call, 3));
}

const RegisterOps entries{
    {.name = "Conv", .function = conv},
    {.name = "ConvTranspose", .function = conv_transpose},
    {.name = "ConvTransposeWithDynamicPads", .function = conv_transpose_with_pads, .shape_inputs = input_bits({2}), .domain = "com.microsoft"},
};

}  // namespace

at::Tensor convolve(const OpCall& call, const std::optional<at::Tensor>& bias) {
  return convolve(call, call.tensor(0), call.tensor(1), bias);
}

at::Tensor convolve(const OpCall& call, const at::Tensor& input, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias) {
  const Window window = window_of(call, input, kernel_of(call, weight));
  const std::vector<int64_t> output_padding(window.rank(), 0);
  const int64_t group = call.attribute("group", 1);
  const bool direct =
      window.begin == window.end &&
      std::all_of(window.begin.begin(), window.begin.end(), [](int64_t pad) { return pad >= 0; });
  if (direct) {
    return at::convolution(input, weight, bias, window.strides, window.begin, window.dilations,
                           false, output_padding, group);
  }
  return at::convolution(pad_spatial(input, window.begin, window.end, 0), weight, bias,
                         window.strides, output_padding, window.dilations, false, output_padding,
                         group);
}

}  // namespace sparsify
