// Deformable convolution (Zhu et al. 2019, arXiv:1811.11168): every kernel element samples where an
// offset sends it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <fmt/core.h>

#include "program/op.h"
#include "program/ops/window.h"

namespace sparsify {
namespace {

/// Bilinear samples, 0 outside the picture.
///   planes  [B, C, H * W]
///   y, x    [B, P]
///   returns [B, C, P]; gradients reach planes, y and x
at::Tensor sample(const at::Tensor& planes, const at::Tensor& y, const at::Tensor& x,
                  int64_t height, int64_t width) {
  const at::Tensor top = y.detach().floor();
  const at::Tensor left = x.detach().floor();
  at::Tensor sum;
  for (int64_t down = 0; down < 2; ++down) {
    for (int64_t right = 0; right < 2; ++right) {
      const at::Tensor row = top + down;
      const at::Tensor column = left + right;
      const at::Tensor inside =
          (row >= 0).logical_and(row < height).logical_and(column >= 0).logical_and(column < width);
      const at::Tensor weight =
          (1 - (y - row).abs()) * (1 - (x - column).abs()) * inside.to(y.scalar_type());
      const at::Tensor index =
          (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).to(at::kLong);
      const at::Tensor picked = planes.gather(
          2, index.unsqueeze(1).expand({planes.size(0), planes.size(1), index.size(1)}));
      const at::Tensor part = picked * weight.unsqueeze(1);
      sum = sum.defined() ? sum + part : part;
    }
  }
  return sum;
}

/// X [N, C, H, W], W [M, C/group, kh, kw], offset [N, offset_group * kh * kw * 2, oh, ow] as (y, x)
/// pairs, B [M], mask [N, offset_group * kh * kw, oh, ow].
void deform_conv(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor& weight = call.tensor(1);
  if (input.dim() != 4)
    call.fail(fmt::format("the input has rank {}; two spatial axes are supported", input.dim()),
              "use rank 4");
  const Window window = window_of(call, input, weight.sizes().slice(2).vec());
  const int64_t groups = call.attribute("group", 1);
  const int64_t offset_groups = call.attribute("offset_group", 1);
  const int64_t batch = input.size(0);
  const int64_t channels = input.size(1);
  const int64_t elements = window.kernel[0] * window.kernel[1];
  const int64_t height = window.output[0];
  const int64_t width = window.output[1];

  const auto grid =
      [&](size_t axis) {  // where each kernel element looks without an offset: [kernel, output]
        const at::Tensor element =
            at::arange(window.kernel[axis], input.options()).unsqueeze(1) * window.dilations[axis];
        const at::Tensor position =
            at::arange(window.output[axis], input.options()) * window.strides[axis];
        return element + position - window.begin[axis];
      };
  const at::Tensor offset = call.tensor(2).reshape(
      {batch * offset_groups, window.kernel[0], window.kernel[1], 2, height, width});
  const at::Tensor y = offset.select(3, 0) + grid(0).view({window.kernel[0], 1, height, 1});
  const at::Tensor x = offset.select(3, 1) + grid(1).view({1, window.kernel[1], 1, width});
  const at::Tensor planes = input.reshape({batch * offset_groups, channels / offset_groups, -1});
  at::Tensor samples = sample(planes, y.reshape({batch * offset_groups, -1}),
                              x.reshape({batch * offset_groups, -1}), input.size(2), input.size(3));
  if (call.has(4)) samples = samples * call.tensor(4).reshape({batch * offset_groups, 1, -1});

  const at::Tensor columns =
      samples.reshape({batch, groups, channels / groups * elements, height * width});
  const at::Tensor matrices = weight.reshape({groups, weight.size(0) / groups, -1});
  at::Tensor result = at::matmul(matrices, columns).reshape({batch, weight.size(0), height, width});
  if (call.has(3)) result = result + call.tensor(3).view({-1, 1, 1});
  call.set(0, result);
}

const RegisterOps entries{{.name = "DeformConv", .function = deform_conv}};

}  // namespace
}  // namespace sparsify
