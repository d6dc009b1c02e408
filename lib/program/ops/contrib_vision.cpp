// com.microsoft: small operators that older exporters wrote before the standard had them, and the six that opset 1 of the standard
// had and dropped, which converters from Core ML and Caffe2 wrote and ONNX Runtime still runs.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_inv.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <fmt/core.h>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

void inverse(OpCall& call) { call.set(0, at::linalg_inv(call.tensor(0))); }

void expand_dims(OpCall& call) {
  const int64_t axis = normalise_axis(call, call.integer(1), rank_of(call, 0) + 1);
  call.set(0, moved(call.value(0), [axis](const at::Tensor& x) { return x.unsqueeze(axis); }));
}

/// A [M, N] and B [K, N] -> [M, K]
void pairwise_distance(OpCall& call) {
  const std::string metric = call.attribute_text("metric", "sqeuclidean");
  const at::Tensor& a = call.tensor(0);
  const at::Tensor& b = call.tensor(1);
  if (metric == "euclidean") {
    call.set(0, at::cdist(a, b));
  } else if (metric == "sqeuclidean") {
    call.set(0, (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(2));
  } else {
    call.fail(fmt::format("metric is \"{}\"", metric), "use euclidean or sqeuclidean");
  }
}

void unfold(OpCall& call) {
  const int64_t axis = normalise_axis(call, call.attribute("dim", -1), rank_of(call, 0));
  const int64_t size = call.attribute("size", 1);
  const int64_t step = call.attribute("step", 1);
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) { return x.unfold(axis, size, step).contiguous(); }));
}

/// One axis of the crops: where the samples lie, in elements of the picture. The corners of a box are the first and last samples.
at::Tensor sample_places(const at::Tensor& low, const at::Tensor& high, int64_t samples, int64_t size) {
  const auto last = static_cast<double>(size - 1);
  const at::Tensor steps = at::arange(samples, low.options()).unsqueeze(0);
  if (samples == 1) return ((low + high) * (0.5 * last)).unsqueeze(1) + steps;
  return (low * last).unsqueeze(1) + steps * ((high - low) * (last / static_cast<double>(samples - 1))).unsqueeze(1);
}

/// X [N, C, H, W], boxes [R, 4] (y1, x1, y2, x2 in parts of the picture), picture of each box [R], size of the crops [2]
void crop_and_resize(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const at::Tensor& boxes = call.tensor(1);
  const at::Tensor picture = call.tensor_on(2, x).to(at::kLong).view({-1, 1, 1});
  const std::vector<int64_t> size = call.integers(3);
  const std::string mode = call.attribute_text("mode", "bilinear");
  if (mode != "bilinear" && mode != "nearest") call.fail(fmt::format("mode is \"{}\"", mode), "use bilinear or nearest");
  const at::Tensor y = sample_places(boxes.select(1, 0), boxes.select(1, 2), size.at(0), x.size(2)).unsqueeze(2);  // [R, h, 1]
  const at::Tensor along = sample_places(boxes.select(1, 1), boxes.select(1, 3), size.at(1), x.size(3)).unsqueeze(1);
  const at::Tensor planes = x.movedim(1, -1);  // [N, H, W, C]
  const auto at_place = [&](const at::Tensor& row, const at::Tensor& column) {
    return planes.index({picture, row.to(at::kLong).clamp(0, x.size(2) - 1), column.to(at::kLong).clamp(0, x.size(3) - 1)});
  };
  at::Tensor crops;
  if (mode == "nearest") {
    crops = at_place((y + 0.5).floor(), (along + 0.5).floor());  // halves go up
  } else {
    const at::Tensor top = y.floor();
    const at::Tensor left = along.floor();
    const at::Tensor down = (y - top).unsqueeze(3);
    const at::Tensor right = (along - left).unsqueeze(3);
    const at::Tensor upper = at_place(top, left) * (1 - right) + at_place(top, along.ceil()) * right;
    const at::Tensor lower = at_place(y.ceil(), left) * (1 - right) + at_place(y.ceil(), along.ceil()) * right;
    crops = upper * (1 - down) + lower * down;
  }
  const at::Tensor inside = (y >= 0).logical_and(y <= x.size(2) - 1).logical_and(along >= 0).logical_and(along <= x.size(3) - 1);
  const double outside = call.attribute_number("extrapolation_value", 0);
  crops = at::where(inside.unsqueeze(3), crops, at::tensor(outside, crops.options()));
  call.set(0, crops.movedim(-1, 1).contiguous());
}

void affine(OpCall& call) { call.set(0, call.tensor(0) * call.attribute_number("alpha", 1) + call.attribute_number("beta", 0)); }
void scale(OpCall& call) { call.set(0, call.tensor(0) * call.attribute_number("scale", 1)); }

void scaled_tanh(OpCall& call) {
  call.set(0, at::tanh(call.tensor(0) * call.attribute_number("beta", 1)) * call.attribute_number("alpha", 1));
}

void parametric_softplus(OpCall& call) {
  call.set(0, at::softplus(call.tensor(0) * call.attribute_number("beta", 1)) * call.attribute_number("alpha", 1));
}

/// [N, C, H, W]
void image_scaler(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const std::vector<float> bias = call.attribute_numbers("bias");
  if (x.dim() != 4 || x.size(1) != static_cast<int64_t>(bias.size())) {
    call.fail(fmt::format("{} biases do not fit {}", bias.size(), call.value(0).describe()), "give one bias for each channel");
  }
  call.set(0, x * call.attribute_number("scale", 1) + at::tensor(bias, x.options()).view({1, -1, 1, 1}));
}

/// border: left, top, right, bottom; `scale`: height and width behind the left and top border
void crop(OpCall& call) {
  const std::vector<int64_t> border = call.attribute_integers("border");
  const std::vector<int64_t> size = call.attribute_integers("scale");
  const at::Tensor& x = call.tensor(0);
  if (x.dim() != 4 || border.size() != 4 || (!size.empty() && size.size() != 2)) {
    call.fail(fmt::format("the border does not fit {}", call.value(0).describe()), "give four borders of a tensor of rank 4");
  }
  const int64_t height = size.empty() ? x.size(2) - border[1] - border[3] : size[0];
  const int64_t width = size.empty() ? x.size(3) - border[0] - border[2] : size[1];
  call.set(0, x.narrow(2, border[1], height).narrow(3, border[0], width));
}

const RegisterOps contrib{
    "com.microsoft",
    {
        {.name = "Inverse", .function = inverse},
        {.name = "ExpandDims", .function = expand_dims, .shape_inputs = input_bits({1})},
        {.name = "CDist", .function = pairwise_distance, .notes = "euclidean and sqeuclidean"},
        {.name = "UnfoldTensor", .function = unfold},
        {.name = "CropAndResize", .function = crop_and_resize, .gradient = Gradient::Some, .shape_inputs = input_bits({3}),
         .notes = "reaches the pictures, and the boxes where it is bilinear"},
    }};

const RegisterOps dropped{
    {.name = "Affine", .function = affine},
    {.name = "Crop", .function = crop},
    {.name = "ImageScaler", .function = image_scaler},
    {.name = "ParametricSoftplus", .function = parametric_softplus},
    {.name = "Scale", .function = scale},
    {.name = "ScaledTanh", .function = scaled_tanh},
};

}  // namespace
}  // namespace sparsify
