// Resize and Upsample: what their versions say about modes, sizes, scales and regions.
#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "program/op.h"
#include "program/ops/interpolation.h"

namespace sparsify {
namespace {

Interpolation kernel_named(const OpCall& call, const std::string& mode) {
  if (mode == "nearest") return Interpolation::Nearest;
  if (mode == "linear" || mode == "bilinear") return Interpolation::Linear;
  if (mode == "cubic") return Interpolation::Cubic;
  call.fail(fmt::format("mode is \"{}\"", mode), "use nearest, linear or cubic");
}

std::vector<float> numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

bool given(const OpCall& call, size_t input) {
  return call.has(input) && call.tensor(input).numel() > 0;
}

/// Output sizes for an axis scaled by `scale`: rounded down.
void set_scale(ResizedAxis& axis, float scale) {
  axis.scale = scale;
  axis.output = static_cast<int64_t>(std::floor(scale * static_cast<float>(axis.size)));
}

/// Sizes as asked for, or one scale for all axes that keeps the shape of the picture.
void set_sizes(const OpCall& call, std::vector<ResizedAxis>& axes,
               const std::vector<int64_t>& sizes) {
  const std::string policy = call.attribute_text("keep_aspect_ratio_policy", "stretch");
  double common = policy == "not_larger" ? std::numeric_limits<double>::infinity() : 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const double scale = static_cast<double>(sizes[i]) / static_cast<double>(axes[i].size);
    axes[i].scale = static_cast<float>(scale);
    axes[i].output = sizes[i];
    common = policy == "not_larger" ? std::min(common, scale) : std::max(common, scale);
  }
  if (policy == "stretch") return;
  for (ResizedAxis& axis : axes) {
    axis.scale = static_cast<float>(common);
    axis.output = static_cast<int64_t>(common * static_cast<double>(axis.size) + 0.5);
  }
}

void resize(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  Resizing resizing;
  resizing.kernel = kernel_named(call, call.attribute_text("mode", "nearest"));
  std::vector<int64_t> positions = call.attribute_integers("axes");
  if (positions.empty()) {
    positions.resize(static_cast<size_t>(input.dim()));
    std::iota(positions.begin(), positions.end(), 0);
  }
  positions = normalise_axes(call, positions, input.dim());
  std::vector<ResizedAxis> axes;
  for (const int64_t axis : positions)
    axes.push_back({.axis = axis, .size = input.size(axis), .output = input.size(axis)});
  const auto check_count = [&](size_t count, const char* what) {
    if (count != axes.size()) {
      call.fail(fmt::format("{} {} for {} axes", count, what, axes.size()),
                "export the model again");
    }
  };

  if (call.opset() < 11) {
    resizing.coordinates = "asymmetric";
    resizing.nearest = "simple";
    const std::vector<float> scales = numbers(call.tensor(1));
    check_count(scales.size(), "scales");
    for (size_t i = 0; i < axes.size(); ++i) set_scale(axes[i], scales[i]);
    call.set_like_input(0, resized(call, resizing, axes));
    return;
  }
  resizing.coordinates = call.attribute_text("coordinate_transformation_mode", "half_pixel");
  resizing.nearest = call.attribute_text("nearest_mode", "round_prefer_floor");
  resizing.cubic_a = call.attribute_number("cubic_coeff_a", -0.75);
  resizing.exclude_outside = call.attribute("exclude_outside", 0) != 0;
  resizing.antialias = call.attribute("antialias", 0) != 0;
  resizing.extrapolation = call.attribute_number("extrapolation_value", 0);
  if (given(call, 3)) {
    const std::vector<int64_t> sizes = call.integers(3);
    check_count(sizes.size(), "sizes");
    set_sizes(call, axes, sizes);
  } else {
    const std::vector<float> scales = numbers(call.tensor(2));
    check_count(scales.size(), "scales");
    for (size_t i = 0; i < axes.size(); ++i) set_scale(axes[i], scales[i]);
  }
  if (resizing.coordinates == "tf_crop_and_resize") {
    if (!given(call, 1))
      call.fail("tf_crop_and_resize needs the input roi", "export the model again");
    const std::vector<float> roi = numbers(call.tensor(1));
    check_count(roi.size() / 2, "regions");
    for (size_t i = 0; i < axes.size(); ++i) {
      axes[i].roi_start = roi[i];
      axes[i].roi_end = roi[i + axes.size()];
    }
  }
  call.set_like_input(0, resized(call, resizing, axes));
}

void upsample(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  Resizing resizing;
  resizing.kernel = kernel_named(call, call.attribute_text("mode", "nearest"));
  resizing.coordinates = "asymmetric";
  resizing.nearest = "floor";
  std::vector<float> scales;
  if (call.opset() >= 9) {
    scales = numbers(call.tensor(1));
  } else if (call.opset() < 7) {
    scales = {1, 1, static_cast<float>(call.attribute_number("height_scale", 1)),
              static_cast<float>(call.attribute_number("width_scale", 1))};
  } else if (const Attribute* attribute = call.node().find("scales")) {
    if (const auto* given_scales = std::get_if<std::vector<float>>(&attribute->value))
      scales = *given_scales;
  }
  if (static_cast<int64_t>(scales.size()) != input.dim()) {
    call.fail(fmt::format("{} scales for {} axes", scales.size(), input.dim()),
              "export the model again");
  }
  std::vector<ResizedAxis> axes;
  for (int64_t axis = 0; axis < input.dim(); ++axis) {
    axes.push_back({.axis = axis, .size = input.size(axis)});
    set_scale(axes.back(), scales[static_cast<size_t>(axis)]);
  }
  call.set_like_input(0, resized(call, resizing, axes));
}

const RegisterOps entries{
    {.name = "Resize",
     .function = resize,
     .gradient = Gradient::Some,
     .shape_inputs = input_bits({1, 2, 3}),
     .notes = "gradient for X only"},
    {.name = "Upsample",
     .function = upsample,
     .gradient = Gradient::Some,
     .shape_inputs = input_bits({1}),
     .notes = "gradient for X only"},
};

}  // namespace
}  // namespace sparsify
