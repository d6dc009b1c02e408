// Pooling over 1 to 3 (and, except for maxima, any number of) spatial axes of X [N, C, spatial...].
#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/max_pool1d_with_indices.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/max_pool2d_with_indices.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/max_pool3d_with_indices.h>
#include <ATen/ops/mean.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "program/ops/pooling.h"
#include "program/ops/window.h"

namespace sparsify {
namespace {

std::vector<int64_t> kernel_shape(const OpCall& call) {
  std::vector<int64_t> kernel = call.attribute_integers("kernel_shape");
  if (kernel.empty()) call.fail("attribute \"kernel_shape\" is missing", "export the model again");
  return kernel;
}

/// What LibTorch's own pooling can do: the same padding on both sides, at most half the window,
/// ONNX's output size.
bool fits_torch(const Window& window, const at::Tensor& input, bool ceil_mode) {
  for (size_t axis = 0; axis < window.rank(); ++axis) {
    const int64_t begin = window.begin[axis];
    if (begin != window.end[axis] || begin < 0 || 2 * begin > window.extent(axis)) return false;
    if (2 * begin > window.kernel[axis]) return false;
    if (ceil_mode) continue;
    const int64_t room =
        input.size(static_cast<int64_t>(axis) + 2) + 2 * begin - window.extent(axis);
    if (room / window.strides[axis] + 1 != window.output[axis]) return false;
  }
  return window.rank() <= 3;
}

/// Padding behind the input until the last window fits.
std::vector<int64_t> end_that_fits(const Window& window, const at::Tensor& input) {
  std::vector<int64_t> end(window.rank());
  for (size_t axis = 0; axis < end.size(); ++axis) {
    const int64_t needed = (window.output[axis] - 1) * window.strides[axis] + window.extent(axis);
    end[axis] = needed - input.size(static_cast<int64_t>(axis) + 2) - window.begin[axis];
  }
  return end;
}

/// Sum over each window of a padded input: one strided slice for each element of the kernel, axis
/// by axis.
at::Tensor window_sums(at::Tensor padded, const Window& window) {
  for (size_t axis = 0; axis < window.rank(); ++axis) {
    const int64_t stride = window.strides[axis];
    const int64_t span = (window.output[axis] - 1) * stride + 1;
    at::Tensor sum;
    for (int64_t element = 0; element < window.kernel[axis]; ++element) {
      const int64_t start = element * window.dilations[axis];
      const at::Tensor part =
          padded.slice(static_cast<int64_t>(axis) + 2, start, start + span, stride);
      sum = sum.defined() ? sum + part : part;
    }
    padded = sum;
  }
  return padded;
}

/// Elements of the window at each position of one axis that are inside the input, or inside input
/// and padding.
at::Tensor counts_along(const Window& window, size_t axis, int64_t size, bool with_padding,
                        const at::TensorOptions& options) {
  std::vector<int64_t> counts;
  const int64_t first = with_padding ? -window.begin[axis] : 0;
  const int64_t last = with_padding ? size + window.end[axis] : size;
  for (int64_t position = 0; position < window.output[axis]; ++position) {
    int64_t count = 0;
    for (int64_t element = 0; element < window.kernel[axis]; ++element) {
      const int64_t at =
          position * window.strides[axis] - window.begin[axis] + element * window.dilations[axis];
      count += at >= first && at < last ? 1 : 0;
    }
    counts.push_back(count);
  }
  return integer_tensor(counts).to(options.device(), options.dtype().toScalarType());
}

}  // namespace

at::Tensor average_pooled(const OpCall& call, const at::Tensor& input) {
  const Window window = window_of(call, input, kernel_shape(call));
  const bool with_padding = call.attribute("count_include_pad", 0) != 0;
  const bool ceil_mode = call.attribute("ceil_mode", 0) != 0;
  const bool dense = std::all_of(window.dilations.begin(), window.dilations.end(),
                                 [](int64_t d) { return d == 1; });
  if (dense && fits_torch(window, input, ceil_mode)) {
    const auto& [kernel, strides, pads] = std::tie(window.kernel, window.strides, window.begin);
    return window.rank() == 1   ? at::avg_pool1d(input, kernel, strides, pads, ceil_mode, with_padding)
           : window.rank() == 2 ? at::avg_pool2d(input, kernel, strides, pads, ceil_mode, with_padding)
                                : at::avg_pool3d(input, kernel, strides, pads, ceil_mode, with_padding);
  }
  at::Tensor result =
      window_sums(pad_spatial(input, window.begin, end_that_fits(window, input), 0), window);
  for (size_t axis = 0; axis < window.rank(); ++axis) {
    std::vector<int64_t> shape(window.rank(), 1);
    shape[axis] = -1;
    const int64_t size = input.size(static_cast<int64_t>(axis) + 2);
    result = result / counts_along(window, axis, size, with_padding, input.options()).view(shape);
  }
  return result;
}

namespace {

void average_pool(OpCall& call) { call.set(0, average_pooled(call, call.tensor(0))); }

/// The p-th root, with gradient 0 instead of NaN where the sum is 0.
at::Tensor root(const at::Tensor& sum, double p) {
  if (p == 1) return sum;
  const at::Tensor zero = sum == 0;
  return sum.masked_fill(zero, 1).pow(1 / p).masked_fill(zero, 0);
}

/// Opset 1 wrote p as a float.
double power_of(const OpCall& call) {
  return call.opset() < 2 ? call.attribute_number("p", 2)
                          : static_cast<double>(call.attribute("p", 2));
}

void lp_pool(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const Window window = window_of(call, input, kernel_shape(call));
  const double p = power_of(call);
  const at::Tensor powers = p == 2 ? input * input : input.abs().pow(p);
  call.set(0, root(window_sums(pad_spatial(powers, window.begin, end_that_fits(window, input), 0),
                               window),
                   p));
}

/// Positions in the padded plane -> positions in the whole unpadded input.
at::Tensor whole_indices(const OpCall& call, const at::Tensor& plane, at::IntArrayRef padded,
                         const std::vector<int64_t>& begin, const at::Tensor& input) {
  const auto axes = static_cast<int64_t>(begin.size());
  const bool column_major = call.attribute("storage_order", 0) != 0;
  at::Tensor rest = plane;
  at::Tensor index;
  std::vector<int64_t> weights(begin.size(), 1);  // distance of neighbours along each axis
  if (column_major) {
    for (size_t axis = 1; axis < begin.size(); ++axis)
      weights[axis] = weights[axis - 1] * input.size(static_cast<int64_t>(axis) + 1);
  } else {
    for (size_t axis = begin.size() - 1; axis-- > 0;)
      weights[axis] = weights[axis + 1] * input.size(static_cast<int64_t>(axis) + 3);
  }
  for (int64_t axis = axes - 1; axis >= 0; --axis) {
    const auto a = static_cast<size_t>(axis);
    const at::Tensor coordinate = rest.remainder(padded[axis]) - begin[a];
    rest = rest.div(padded[axis], "floor");
    index = index.defined() ? index + coordinate * weights[a] : coordinate * weights[a];
  }
  const int64_t plane_size = std::accumulate(input.sizes().begin() + 2, input.sizes().end(),
                                             int64_t{1}, std::multiplies<>());
  std::vector<int64_t> shape(static_cast<size_t>(axes) + 2, 1);
  shape[0] = input.size(0);
  shape[1] = input.size(1);
  const at::Tensor planes =
      at::arange(shape[0] * shape[1], plane.options()).view(shape) * plane_size;
  return index + planes;
}

at::Tensor max_pooled(OpCall& call, const at::Tensor& given) {
  const Window window = window_of(call, given, kernel_shape(call));
  if (window.rank() > 3)
    call.fail(fmt::format("maxima over {} spatial axes are not supported", window.rank()),
              "use at most 3");
  // int8 and uint8 have no pooling kernels; float32 holds them exactly.
  const bool integer = !given.is_floating_point();
  at::Tensor input = integer ? given.to(at::kFloat) : given;
  std::vector<int64_t> pads = window.begin;
  const bool ceil_mode = call.attribute("ceil_mode", 0) != 0;
  const bool direct = fits_torch(window, given, ceil_mode);
  if (!direct) {
    input = pad_spatial(input, window.begin, end_that_fits(window, input),
                        -std::numeric_limits<double>::infinity());
    pads.assign(pads.size(), 0);
  }
  const bool ceils = direct && ceil_mode;
  const auto& [kernel, strides, dilations] =
      std::tie(window.kernel, window.strides, window.dilations);
  at::Tensor values;
  if (!call.wants(1)) {
    values = window.rank() == 1   ? at::max_pool1d(input, kernel, strides, pads, dilations, ceils)
             : window.rank() == 2 ? at::max_pool2d(input, kernel, strides, pads, dilations, ceils)
                                  : at::max_pool3d(input, kernel, strides, pads, dilations, ceils);
  } else {
    at::Tensor plane;
    std::tie(values, plane) =
        window.rank() == 1
            ? at::max_pool1d_with_indices(input, kernel, strides, pads, dilations, ceils)
        : window.rank() == 2
            ? at::max_pool2d_with_indices(input, kernel, strides, pads, dilations, ceils)
            : at::max_pool3d_with_indices(input, kernel, strides, pads, dilations, ceils);
    const std::vector<int64_t> no_shift(window.rank(), 0);
    call.set(1, whole_indices(call, plane, input.sizes().slice(2), direct ? no_shift : window.begin,
                              given));
  }
  return integer ? values.to(given.scalar_type()) : values;
}

void max_pool(OpCall& call) { call.set(0, max_pooled(call, call.tensor(0))); }

/// X and Y [N, spatial..., C]
void max_pool_channels_last(OpCall& call) {
  call.set(0, max_pooled(call, call.tensor(0).movedim(-1, 1)).movedim(1, -1).contiguous());
}

std::vector<int64_t> spatial_axes(const at::Tensor& input) {
  std::vector<int64_t> axes(static_cast<size_t>(std::max<int64_t>(input.dim() - 2, 0)));
  std::iota(axes.begin(), axes.end(), 2);
  return axes;
}

void global_average_pool(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  call.set(0, input.dim() == 4 ? at::adaptive_avg_pool2d(input, {1, 1})
                               : at::mean(input, spatial_axes(input), true));
}

void global_max_pool(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  call.set(0, at::amax(input, spatial_axes(input), true));
}

void global_lp_pool(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  call.set(0, at::linalg_vector_norm(input, power_of(call), spatial_axes(input), true));
}

/// The inverse of MaxPool: values go where its indices say, everything else is 0.
void max_unpool(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor indices = call.tensor_on(1, input).reshape({-1});
  const size_t axes = kernel_shape(call).size();
  const std::vector<int64_t> kernel = kernel_shape(call);
  const std::vector<int64_t> strides = per_axis(call, "strides", axes, 1);
  const std::vector<int64_t> pads = per_axis(call, "pads", 2 * axes, 0);
  std::vector<int64_t> shape = input.sizes().vec();
  for (size_t axis = 0; axis < axes; ++axis) {
    shape[axis + 2] =
        (shape[axis + 2] - 1) * strides[axis] - pads[axis] - pads[axis + axes] + kernel[axis];
  }
  const int64_t count =
      std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  at::Tensor result = input.new_zeros({count}).scatter(0, indices, input.reshape({-1})).view(shape);
  if (call.has(2)) {  // larger than what the window gives: zeros behind
    const std::vector<int64_t> wanted = call.integers(2);
    std::vector<int64_t> end(axes);
    for (size_t axis = 0; axis < axes; ++axis) end[axis] = wanted.at(axis + 2) - shape[axis + 2];
    result = pad_spatial(result, std::vector<int64_t>(axes, 0), end, 0);
  }
  call.set(0, result);
}

const RegisterOps entries{
    {.name = "MaxPool", .function = max_pool},
    {.name = "NhwcMaxPool", .function = max_pool_channels_last, .domain = "com.microsoft"},
    {.name = "AveragePool", .function = average_pool},
    {.name = "LpPool", .function = lp_pool},
    {.name = "GlobalAveragePool", .function = global_average_pool},
    {.name = "GlobalMaxPool", .function = global_max_pool},
    {.name = "GlobalLpPool", .function = global_lp_pool},
    {.name = "MaxUnpool", .function = max_unpool, .shape_inputs = input_bits({2})},
};

}  // namespace
}  // namespace sparsify
