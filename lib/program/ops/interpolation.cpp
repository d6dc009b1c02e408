// Coordinates are computed in float32 as ONNX Runtime does, so that `nearest` picks the same
// neighbours.
#include "program/ops/interpolation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace sparsify {
namespace {

/// The source elements of each output position and their weights, `count` for each.
struct Taps {
  int64_t count = 1;
  std::vector<int64_t> index;
  std::vector<double> weight;
  std::vector<int64_t> outside;  ///< output positions that tf_crop_and_resize fills
};

float source_coordinate(const OpCall& call, const Resizing& resizing, const ResizedAxis& axis,
                        int64_t position) {
  const auto x = static_cast<float>(position);
  const auto size = static_cast<float>(axis.size);
  const float output =
      axis.scale * size;  // before rounding down, as the standard's reference uses it
  const std::string& mode = resizing.coordinates;
  if (mode == "half_pixel") return (x + 0.5F) / axis.scale - 0.5F;
  if (mode == "asymmetric") return x / axis.scale;
  if (mode == "pytorch_half_pixel") return axis.output > 1 ? (x + 0.5F) / axis.scale - 0.5F : 0.F;
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5F) / axis.scale;
  if (mode == "align_corners") return output == 1 ? 0.F : x * (size - 1) / (output - 1);
  if (mode == "half_pixel_symmetric") {
    const float adjustment = static_cast<float>(axis.output) / output;
    return size / 2 * (1 - adjustment) + (x + 0.5F) / axis.scale - 0.5F;
  }
  if (mode == "tf_crop_and_resize") {
    const float length = (axis.roi_end - axis.roi_start) * (size - 1);
    const float inside =
        axis.output == 1 ? length / 2 : x * length / (static_cast<float>(axis.output) - 1);
    return axis.roi_start * (size - 1) + inside;
  }
  call.fail(fmt::format("coordinate_transformation_mode is \"{}\"", mode),
            "use a mode of the ONNX standard");
}

/// `shrinks` matters to the first version of Resize only.
int64_t nearest_index(const OpCall& call, const std::string& mode, float x, bool shrinks) {
  const float below = std::floor(x);
  const float fraction = x - below;
  const auto index = static_cast<int64_t>(below);
  if (fraction == 0) return index;
  if (mode == "round_prefer_floor") return index + (fraction > 0.5F ? 1 : 0);
  if (mode == "round_prefer_ceil") return index + (fraction >= 0.5F ? 1 : 0);
  if (mode == "floor") return index;
  if (mode == "ceil") return index + 1;
  if (mode == "simple") return shrinks ? index + 1 : index;
  call.fail(fmt::format("nearest_mode is \"{}\"", mode), "use a mode of the ONNX standard");
}

/// Keys 1981 with parameter a; 0 beyond distance 2.
double cubic(double distance, double a) {
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

Taps taps_of(const OpCall& call, const Resizing& resizing, const ResizedAxis& axis) {
  Taps taps;
  const bool nearest = resizing.kernel == Interpolation::Nearest;
  const double reach = resizing.kernel == Interpolation::Cubic ? 2 : 1;
  // Antialiasing widens the kernel when shrinking.
  const double stretch = resizing.antialias ? std::min(static_cast<double>(axis.scale), 1.0) : 1.0;
  const auto first = static_cast<int64_t>(std::floor(-reach / stretch)) + 1;
  if (!nearest) taps.count = 2 - 2 * first;
  for (int64_t position = 0; position < axis.output; ++position) {
    const float x = source_coordinate(call, resizing, axis, position);
    if (resizing.coordinates == "tf_crop_and_resize" &&
        (x < 0 || x > static_cast<float>(axis.size - 1))) {
      taps.outside.push_back(position);
    }
    if (nearest) {
      const int64_t index = nearest_index(call, resizing.nearest, x, axis.scale < 1);
      taps.index.push_back(std::clamp<int64_t>(index, 0, axis.size - 1));
      continue;
    }
    const auto below = static_cast<int64_t>(std::floor(x));
    const double fraction = static_cast<double>(x) - static_cast<double>(below);
    double sum = 0;
    for (int64_t tap = 0; tap < taps.count; ++tap) {
      const int64_t index = below + first + tap;
      const double distance = (static_cast<double>(first + tap) - fraction) * stretch;
      double weight = resizing.kernel == Interpolation::Cubic
                          ? cubic(distance, resizing.cubic_a)
                          : std::max(0.0, 1 - std::abs(distance));
      if (resizing.exclude_outside && (index < 0 || index >= axis.size)) weight = 0;
      sum += weight;
      taps.weight.push_back(weight);
      taps.index.push_back(std::clamp<int64_t>(index, 0, axis.size - 1));
    }
    if ((resizing.exclude_outside || resizing.antialias) && sum != 0) {
      for (auto weight = taps.weight.end() - taps.count; weight != taps.weight.end(); ++weight)
        *weight /= sum;
    }
  }
  return taps;
}

at::Tensor weights_of(const Taps& taps, const at::Tensor& like) {
  return at::tensor(taps.weight, at::TensorOptions(at::kDouble))
      .to(like.device(), like.scalar_type());
}

at::Tensor interpolate(const at::Tensor& input, const ResizedAxis& axis, const Taps& taps) {
  const at::Tensor index = integer_tensor(taps.index).to(input.device());
  if (taps.weight.empty()) return at::index_select(input, axis.axis, index);
  const at::Tensor weight = weights_of(taps, input);
  if (taps.count > 4) {  // wide kernels: one product with a matrix [size, output]
    const at::Tensor rows = index.view({axis.output, taps.count});
    const at::Tensor matrix = at::zeros({axis.output, axis.size}, input.options())
                                  .scatter_add(1, rows, weight.view({axis.output, taps.count}));
    return at::matmul(input.movedim(axis.axis, -1), matrix.t()).movedim(-1, axis.axis);
  }
  std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
  shape[static_cast<size_t>(axis.axis)] = axis.output;
  at::Tensor sum;
  for (int64_t tap = 0; tap < taps.count; ++tap) {
    const at::Tensor picked =
        at::index_select(input, axis.axis, index.slice(0, tap, std::nullopt, taps.count));
    const at::Tensor part = picked * weight.slice(0, tap, std::nullopt, taps.count).view(shape);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

/// LibTorch's own kernel where it computes the same: two trailing axes of four, no option that it
/// lacks.
at::Tensor try_fused(const Resizing& resizing, const at::Tensor& input,
                     const std::vector<ResizedAxis>& axes) {
  if (input.dim() != 4 || !input.is_floating_point() || resizing.antialias ||
      resizing.exclude_outside)
    return {};
  std::vector<int64_t> output{input.size(2), input.size(3)};
  double scales[2] = {1, 1};
  bool shrinks_to_one = false;
  for (const ResizedAxis& axis : axes) {
    if (axis.axis < 2) return {};
    output[static_cast<size_t>(axis.axis) - 2] = axis.output;
    scales[axis.axis - 2] = static_cast<double>(axis.scale);
    shrinks_to_one = shrinks_to_one || axis.output == 1;
    // LibTorch gets the whole sizes only.
    if (axis.scale * static_cast<float>(axis.size) != static_cast<float>(axis.output)) return {};
  }
  if (output[0] == 0 || output[1] == 0) return {};
  if (resizing.kernel == Interpolation::Linear && !shrinks_to_one) {
    if (resizing.coordinates == "align_corners")
      return at::upsample_bilinear2d(input, output, true);
    if (resizing.coordinates == "half_pixel" || resizing.coordinates == "pytorch_half_pixel") {
      return at::upsample_bilinear2d(input, output, false);
    }
  }
  // Multiplying by 1 / scale equals dividing by it for powers of two only.
  int exponent = 0;
  const bool exact =
      std::frexp(scales[0], &exponent) == 0.5 && std::frexp(scales[1], &exponent) == 0.5;
  const bool floors = resizing.nearest == "floor" ||
                      (resizing.nearest == "simple" && scales[0] >= 1 && scales[1] >= 1);
  if (resizing.kernel == Interpolation::Nearest && resizing.coordinates == "asymmetric" && floors &&
      exact) {
    return at::upsample_nearest2d(input, output);
  }
  return {};
}

}  // namespace

at::Tensor resized(const OpCall& call, const Resizing& resizing,
                   const std::vector<ResizedAxis>& axes) {
  const at::Tensor& input = call.tensor(0);
  std::vector<ResizedAxis> changed;
  for (const ResizedAxis& axis : axes) {
    const bool whole = axis.roi_start == 0 && axis.roi_end == 1;
    const bool same = axis.scale == 1 && axis.output == axis.size;
    if (!same || (resizing.coordinates == "tf_crop_and_resize" && !whole)) changed.push_back(axis);
  }
  if (const at::Tensor fused = try_fused(resizing, input, changed); fused.defined()) return fused;
  const at::ScalarType type = input.scalar_type();
  const bool nearest = resizing.kernel == Interpolation::Nearest;
  at::Tensor result =
      nearest || type == at::kFloat || type == at::kDouble ? input : input.to(at::kFloat);
  for (const ResizedAxis& axis : changed) {
    if (axis.size == 0 && axis.output > 0)
      call.fail("an axis without elements cannot be enlarged", "check the input");
    const Taps taps = taps_of(call, resizing, axis);
    result = interpolate(result, axis, taps);
    if (!taps.outside.empty()) {
      result = result.index_fill(axis.axis, integer_tensor(taps.outside).to(result.device()),
                                 resizing.extrapolation);
    }
  }
  if (result.scalar_type() == type) return result;
  if (at::isIntegralType(type, true)) {
    // The standard leaves open how integers come about; ONNX Runtime's linear kernels cut the fraction off.
    constexpr double kNoFraction = 1e-4;  // of a whole number whose float32 terms were rounded
    const at::Tensor nearest_whole = result.round();
    const bool cuts = resizing.kernel == Interpolation::Linear && !resizing.antialias;
    result = cuts ? at::where((result - nearest_whole).abs() < kNoFraction, nearest_whole, result.trunc()) : nearest_whole;
    if (type == at::kByte) result = result.clamp(0, 255);
    if (type == at::kChar) result = result.clamp(-128, 127);
  }
  return result.to(type);
}

}  // namespace sparsify
