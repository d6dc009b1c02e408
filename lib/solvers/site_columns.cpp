// Convolutions as matrix products: the inputs of one output, gathered for every sample and position (im2col). Columns are
// in the order of the stored weight, (channel, kernel position), so that a row of the weight is a row of the matrix.
#include <ATen/TensorOperators.h>
#include <ATen/ops/as_strided.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "solvers/convolution_geometry.h"

namespace sparsify {

ConvolutionGeometry geometry_of(const LinearSite& site, const Node& node, at::IntArrayRef input, at::IntArrayRef output) {
  const size_t axes = site.tensor.shape.size() - 2;
  ConvolutionGeometry geometry;
  geometry.kernel.assign(site.tensor.shape.begin() + 2, site.tensor.shape.end());
  geometry.strides = node.integers("strides", std::vector<int64_t>(axes, 1));
  geometry.dilations = node.integers("dilations", std::vector<int64_t>(axes, 1));
  const std::vector<int64_t> pads = node.integers("pads", std::vector<int64_t>(2 * axes, 0));
  geometry.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  const std::string automatic = node.text("auto_pad", "NOTSET");
  if (automatic == "VALID") geometry.begin.assign(axes, 0);
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    for (size_t axis = 0; axis < axes; ++axis) {
      const auto dimension = static_cast<int64_t>(axis) + 2;
      const int64_t extent = (geometry.kernel[axis] - 1) * geometry.dilations[axis] + 1;
      const int64_t wanted = site.kind == LinearSite::Kind::Conv
                                 ? (output[static_cast<size_t>(dimension)] - 1) * geometry.strides[axis] + extent - input[static_cast<size_t>(dimension)]
                                 : (input[static_cast<size_t>(dimension)] - 1) * geometry.strides[axis] + extent - output[static_cast<size_t>(dimension)];
      const int64_t total = std::max<int64_t>(wanted, 0);
      geometry.begin[axis] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
  }
  return geometry;
}

namespace {

using Geometry = ConvolutionGeometry;

/// [N, C, spatial...] padded so that `begin` zeros stand in front and each axis has `sizes` elements; negative amounts cut.
at::Tensor padded(const at::Tensor& input, const std::vector<int64_t>& begin, const std::vector<int64_t>& sizes) {
  std::vector<int64_t> pads;  // last axis first
  for (size_t i = begin.size(); i-- > 0;) {
    pads.push_back(begin[i]);
    pads.push_back(sizes[i] - input.size(static_cast<int64_t>(i) + 2) - begin[i]);
  }
  return at::constant_pad_nd(input, pads, 0).contiguous();
}

/// Zeros between the elements of every spatial axis.
at::Tensor spread(const at::Tensor& input, const std::vector<int64_t>& strides) {
  std::vector<int64_t> shape = input.sizes().vec();
  for (size_t axis = 0; axis < strides.size(); ++axis) shape[axis + 2] = (shape[axis + 2] - 1) * strides[axis] + 1;
  at::Tensor wide = at::zeros(shape, input.options());
  at::Tensor view = wide;
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    view = view.slice(static_cast<int64_t>(axis) + 2, std::nullopt, std::nullopt, strides[axis]);
  }
  view.copy_(input);
  return wide;
}

/// All windows of a padded input: [C * kernel, N * output positions].
at::Tensor windows(const at::Tensor& input, const Geometry& geometry, const std::vector<int64_t>& output) {
  const size_t axes = geometry.kernel.size();
  std::vector<int64_t> sizes{input.size(1)};
  std::vector<int64_t> strides{input.stride(1)};
  for (size_t axis = 0; axis < axes; ++axis) {
    sizes.push_back(geometry.kernel[axis]);
    strides.push_back(input.stride(static_cast<int64_t>(axis) + 2) * geometry.dilations[axis]);
  }
  sizes.push_back(input.size(0));
  strides.push_back(input.stride(0));
  for (size_t axis = 0; axis < axes; ++axis) {
    sizes.push_back(output[axis]);
    strides.push_back(input.stride(static_cast<int64_t>(axis) + 2) * geometry.strides[axis]);
  }
  int64_t rows = 1;
  for (size_t i = 0; i <= axes; ++i) rows *= sizes[i];
  return input.as_strided(sizes, strides).reshape({rows, -1});
}

/// A convolution's input with its padding, so that the rest needs none.
at::Tensor padded_input(const at::Tensor& input, const Geometry& geometry, at::IntArrayRef output) {
  const size_t axes = geometry.kernel.size();
  std::vector<int64_t> sizes(axes);
  bool same = true;
  for (size_t axis = 0; axis < axes; ++axis) {
    sizes[axis] = (output[axis + 2] - 1) * geometry.strides[axis] + (geometry.kernel[axis] - 1) * geometry.dilations[axis] + 1;
    same = same && geometry.begin[axis] == 0 && sizes[axis] == input.size(static_cast<int64_t>(axis) + 2);
  }
  return same ? input.contiguous() : padded(input, geometry.begin, sizes);
}

at::Tensor convolution_columns(const LinearSite& site, const Node& node, const at::Tensor& input, at::IntArrayRef output_shape) {
  Geometry geometry = geometry_of(site, node, input.sizes(), output_shape);
  const size_t axes = geometry.kernel.size();
  const std::vector<int64_t> output(output_shape.begin() + 2, output_shape.end());
  std::vector<int64_t> sizes(axes);
  at::Tensor columns;
  if (site.kind == LinearSite::Kind::Conv) {
    columns = windows(padded_input(input, geometry, output_shape), geometry, output);
  } else {  // a convolution of the spread input with the kernel turned round
    const at::Tensor wide = spread(input, geometry.strides);
    std::vector<int64_t> begin(axes);
    for (size_t axis = 0; axis < axes; ++axis) {
      const int64_t reach = (geometry.kernel[axis] - 1) * geometry.dilations[axis];
      begin[axis] = reach - geometry.begin[axis];
      sizes[axis] = output[axis] + reach;
    }
    Geometry plain = geometry;
    plain.strides.assign(axes, 1);
    columns = windows(padded(wide, begin, sizes), plain, output);
    int64_t positions = 1;
    for (const int64_t size : geometry.kernel) positions *= size;
    columns = columns.view({input.size(1), positions, -1}).flip(1);
  }
  return columns.reshape({site.groups, site.columns, -1});
}

}  // namespace

at::Tensor site_columns(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape) {
  if (site.kind != LinearSite::Kind::Product) return convolution_columns(site, *step.node, input, output_shape);
  const bool features_last = site.weight_on_left == site.transposed_input;
  at::Tensor rows = features_last ? input.reshape({-1, site.columns}).t() : input.transpose(-2, -1).reshape({-1, site.columns}).t();
  if (site.alpha != 1) rows = rows * site.alpha;
  return rows.unsqueeze(0);
}

at::Tensor site_convolve(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                         const at::Tensor& weights) {
  const Geometry geometry = geometry_of(site, *step.node, input.sizes(), output_shape);
  const std::vector<int64_t> none(geometry.kernel.size(), 0);
  const at::Tensor kernel = from_matrix(site, weights).to(input.scalar_type());
  return at::convolution(padded_input(input, geometry, output_shape), kernel, std::nullopt, geometry.strides, none, geometry.dilations,
                         false, none, site.groups);
}

at::Tensor site_weight_gradient(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                                const at::Tensor& target) {
  const Geometry geometry = geometry_of(site, *step.node, input.sizes(), output_shape);
  const std::vector<int64_t> none(geometry.kernel.size(), 0);
  const at::Tensor kernel = at::empty(at::IntArrayRef(site.tensor.shape), input.options());
  const auto gradients =
      at::convolution_backward(target, padded_input(input, geometry, output_shape), kernel, std::nullopt, geometry.strides, none,
                               geometry.dilations, false, none, site.groups, {false, true, false});
  return to_matrix(site, std::get<1>(gradients));
}

std::vector<int64_t> output_shape(const LinearSite& site, const Step& step, const at::Tensor& input) {
  if (site.kind == LinearSite::Kind::Product) return {};  // the rows of a product need none
  const Node& node = *step.node;
  const size_t axes = site.tensor.shape.size() - 2;
  const std::vector<int64_t> ones(axes, 1);
  const std::vector<int64_t> strides = node.integers("strides", ones);
  const std::vector<int64_t> dilations = node.integers("dilations", ones);
  const std::vector<int64_t> pads = node.integers("pads", std::vector<int64_t>(2 * axes, 0));
  const std::vector<int64_t> extra = node.integers("output_padding", std::vector<int64_t>(axes, 0));
  const std::vector<int64_t> wanted = node.integers("output_shape");
  const std::string automatic = node.text("auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  std::vector<int64_t> shape{input.size(0), site.rows};
  for (size_t axis = 0; axis < axes; ++axis) {
    const int64_t size = input.size(static_cast<int64_t>(axis) + 2);
    const int64_t extent = (site.tensor.shape[axis + 2] - 1) * dilations[axis] + 1;
    const int64_t pad = automatic == "VALID" ? 0 : pads[axis] + pads[axis + axes];
    if (site.kind == LinearSite::Kind::Conv) {
      shape.push_back(same ? (size + strides[axis] - 1) / strides[axis] : (size + pad - extent) / strides[axis] + 1);
    } else if (!wanted.empty()) {
      shape.push_back(wanted[wanted.size() - axes + axis]);
    } else {
      shape.push_back(same ? size * strides[axis] : (size - 1) * strides[axis] + extent + extra[axis] - pad);
    }
  }
  return shape;
}

at::Tensor site_rows(const LinearSite& site, const at::Tensor& output) {
  if (site.kind != LinearSite::Kind::Product) return output.transpose(0, 1).reshape({site.rows, -1});
  if (site.weight_on_left) return output.transpose(-2, -1).reshape({-1, site.rows}).t();
  return output.reshape({-1, site.rows}).t();
}

}  // namespace sparsify
