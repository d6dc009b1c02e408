// Blocks of space and depth, overlapping blocks, centred crops: data movement only.
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <functional>
#include <numeric>

#include "program/op.h"
#include "program/ops/window.h"

namespace sparsify {
namespace {

void depth_to_space(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const int64_t block = call.attribute("blocksize", 1);
  const int64_t batch = input.size(0);
  const int64_t depth = input.size(1) / (block * block);
  const int64_t height = input.size(2);
  const int64_t width = input.size(3);
  const bool blocks_first = call.attribute_text("mode", "DCR") == "DCR";
  const at::Tensor split =
      blocks_first
          ? input.reshape({batch, block, block, depth, height, width}).permute({0, 3, 4, 1, 5, 2})
          : input.reshape({batch, depth, block, block, height, width}).permute({0, 1, 4, 2, 5, 3});
  call.set_like_input(0, split.reshape({batch, depth, height * block, width * block}));
}

void space_to_depth(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const int64_t block = call.attribute("blocksize", 1);
  const int64_t batch = input.size(0);
  const int64_t depth = input.size(1);
  const int64_t height = input.size(2) / block;
  const int64_t width = input.size(3) / block;
  const at::Tensor split =
      input.reshape({batch, depth, height, block, width, block}).permute({0, 3, 5, 1, 2, 4});
  call.set_like_input(0, split.reshape({batch, depth * block * block, height, width}));
}

/// Adds overlapping blocks into an image: input [N, C * block, positions], output [N, C, image...].
void col2im(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const std::vector<int64_t> image = call.integers(1);
  const std::vector<int64_t> block = call.integers(2);
  const size_t axes = image.size();
  if (block.size() != axes)
    call.fail(fmt::format("image_shape has {} axes, block_shape {}", axes, block.size()),
              "check the graph");
  const std::vector<int64_t> strides = per_axis(call, "strides", axes, 1);
  const std::vector<int64_t> dilations = per_axis(call, "dilations", axes, 1);
  const std::vector<int64_t> pads = per_axis(call, "pads", 2 * axes, 0);

  // Flat place in the padded image of every (block element, position), built axis by axis.
  at::Tensor place = at::zeros({1, 1}, at::TensorOptions(at::kLong));
  std::vector<int64_t> padded(axes);
  std::vector<int64_t> crop;
  for (size_t axis = 0; axis < axes; ++axis) {
    padded[axis] = image[axis] + pads[axis] + pads[axis + axes];
    const int64_t positions =
        (padded[axis] - ((block[axis] - 1) * dilations[axis] + 1)) / strides[axis] + 1;
    std::vector<int64_t> along;
    for (int64_t element = 0; element < block[axis]; ++element) {
      for (int64_t position = 0; position < positions; ++position) {
        along.push_back(element * dilations[axis] + position * strides[axis]);
      }
    }
    const at::Tensor steps = integer_tensor(along).view({1, block[axis], 1, positions});
    place = (place.view({place.size(0), 1, place.size(1), 1}) * padded[axis] + steps)
                .reshape({place.size(0) * block[axis], place.size(1) * positions});
    crop.insert(crop.begin(), {-pads[axis], -pads[axis + axes]});
  }
  const int64_t block_size = place.size(0);
  if (input.dim() != 3 || input.size(1) % block_size != 0 || input.size(2) != place.size(1)) {
    call.fail(fmt::format("the input does not hold blocks of {} elements at {} positions",
                          block_size, place.size(1)),
              "check the graph");
  }
  const int64_t count =
      std::accumulate(padded.begin(), padded.end(), int64_t{1}, std::multiplies<>());
  const int64_t channels = input.size(1) / block_size;
  const at::Tensor flat = input.reshape({input.size(0), channels, block_size * place.size(1)});
  std::vector<int64_t> shape{input.size(0), channels};
  shape.insert(shape.end(), padded.begin(), padded.end());
  const at::Tensor sum = at::zeros({input.size(0), channels, count}, input.options())
                             .index_add(2, place.reshape({-1}).to(input.device()), flat)
                             .view(shape);
  call.set_like_input(0, at::constant_pad_nd(sum, crop).contiguous());
}

void center_crop_pad(OpCall& call) {
  at::Tensor result = call.tensor(0);
  const std::vector<int64_t> shape = call.integers(1);
  std::vector<int64_t> axes = call.attribute_integers("axes");
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(result.dim()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  axes = normalise_axes(call, axes, result.dim());
  if (axes.size() != shape.size())
    call.fail(fmt::format("{} sizes for {} axes", shape.size(), axes.size()), "check the graph");
  std::vector<int64_t> pads(static_cast<size_t>(2 * result.dim()), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t size = result.size(axes[i]);
    if (shape[i] <= size) {
      result = result.narrow(axes[i], (size - shape[i]) / 2, shape[i]);
      continue;
    }
    const int64_t missing = shape[i] - size;
    const auto at = static_cast<size_t>(2 * (result.dim() - 1 - axes[i]));
    pads[at] = missing / 2;
    pads[at + 1] = missing - missing / 2;
  }
  call.set_like_input(0, at::constant_pad_nd(result, pads));
}

const RegisterOps entries{
    {.name = "DepthToSpace", .function = depth_to_space},
    {.name = "SpaceToDepth", .function = space_to_depth},
    {.name = "Col2Im", .function = col2im, .shape_inputs = input_bits({1, 2})},
    {.name = "CenterCropPad", .function = center_crop_pad, .shape_inputs = input_bits({1})},
};

}  // namespace
}  // namespace sparsify
