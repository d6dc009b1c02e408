// Sampling at positions that are values themselves: GridSample, AffineGrid.
#include <ATen/TensorOperators.h>
#include <ATen/ops/affine_grid_generator.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/grid_sampler.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include "program/op.h"

namespace sparsify {
namespace {

int64_t interpolation_of(const OpCall& call) {
  const std::string mode = call.attribute_text("mode", call.opset() < 20 ? "bilinear" : "linear");
  if (mode == "linear" || mode == "bilinear") return 0;
  if (mode == "nearest") return 1;
  if (mode == "cubic" || mode == "bicubic") return 2;
  call.fail(fmt::format("mode is \"{}\"", mode), "use linear, nearest or cubic");
}

int64_t padding_of(const OpCall& call) {
  const std::string mode = call.attribute_text("padding_mode", "zeros");
  if (mode == "zeros") return 0;
  if (mode == "border") return 1;
  if (mode == "reflection") return 2;
  call.fail(fmt::format("padding_mode is \"{}\"", mode), "use zeros, border or reflection");
}

void grid_sample(OpCall& call) {
  at::Tensor input = call.tensor(0);
  at::Tensor grid = call.tensor(1);
  const int64_t interpolation = interpolation_of(call);
  if (interpolation == 2 && input.dim() == 5) {
    call.fail("cubic interpolation over three axes is not supported", "use linear or nearest");
  }
  const bool line = input.dim() == 3;  // one spatial axis: a picture of one row
  if (line) {
    input = input.unsqueeze(2);
    grid = at::cat({grid, at::zeros_like(grid)}, -1).unsqueeze(1);
  }
  const at::ScalarType type = input.scalar_type();
  const bool native = type == at::kFloat || type == at::kDouble;
  const at::ScalarType computed = native ? type : at::kFloat;
  at::Tensor result = at::grid_sampler(input.to(computed), grid.to(computed), interpolation,
                                       padding_of(call), call.attribute("align_corners", 0) != 0);
  if (!native) result = at::isIntegralType(type, true) ? result.round().to(type) : result.to(type);
  call.set(0, line ? result.squeeze(2) : result);
}

void affine_grid(OpCall& call) {
  call.set(0, at::affine_grid_generator(call.tensor(0), call.integers(1),
                                        call.attribute("align_corners", 0) != 0));
}

const RegisterOps entries{
    {.name = "GridSample", .function = grid_sample, .notes = "cubic for one or two spatial axes"},
    {.name = "GridSample", .function = grid_sample, .domain = "com.microsoft"},
    {.name = "AffineGrid", .function = affine_grid, .shape_inputs = input_bits({1})},
};

}  // namespace
}  // namespace sparsify
