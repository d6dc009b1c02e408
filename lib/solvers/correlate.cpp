#include "solvers/correlate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "solvers/dense_correlation.h"
#include "solvers/kernels.h"

namespace sparsify {
namespace {

/// Elements of one chunk's shifted images: they stay in the cache of the processor, or nearly.
constexpr int64_t kChunk = int64_t{1} << 20;
constexpr int64_t kShifts = 13;  ///< distances from one kernel place to a later one, and none

/// Correlations [groups, channels, channels, 5, 5] of images with themselves, `wide` with two zeros around them; those that point backwards are not
/// needed and stay zero.
at::Tensor correlated(const at::Tensor& own, const at::Tensor& wide, int64_t groups) {
  const int64_t channels = own.size(1) / groups;
  if (groups > 1) {
    const at::Tensor kernel = at::empty({own.size(1), channels, 5, 5}, own.options());
    const auto gradients = at::convolution_backward(own, wide, kernel, std::nullopt, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, groups, {false, true, false});
    return std::get<1>(gradients).to(at::kDouble).view({groups, channels, channels, 5, 5});
  }
  const at::Tensor rows = own.transpose(0, 1).reshape({channels, -1});
  at::Tensor result = at::zeros({1, channels, channels, 5, 5}, at::kDouble);
  const auto add = [&](int64_t down, int64_t lines, int64_t along, int64_t places) {
    const at::Tensor from = wide.narrow(2, down, wide.size(2) - down).narrow(3, along, wide.size(3) - along);
    const at::Tensor shifted = from.as_strided({channels, lines, places, own.size(0), own.size(2), own.size(3)},
                                               {from.stride(1), from.stride(2), from.stride(3), from.stride(0), from.stride(2), from.stride(3)});
    const at::Tensor products = at::mm(rows, shifted.reshape({channels * lines * places, -1}).t());
    result[0].narrow(2, down, lines).narrow(3, along, places).copy_(products.view({channels, channels, lines, places}));
  };
  add(2, 1, 2, 3);
  add(3, 2, 0, 5);
  return result;
}

/// Those of whole images, where the processor has wide registers.
at::Tensor correlated_at_once(const at::Tensor& values, int64_t groups) {
  std::vector<std::array<int64_t, 2>> distances;
  for (int64_t down = 0; down <= 2; ++down) {
    for (int64_t along = down == 0 ? 0 : -2; along <= 2; ++along) distances.push_back({down, along});
  }
  const at::Tensor products = correlate_planes(values, values, groups, distances);
  at::Tensor result = at::zeros({groups, products.size(1), products.size(2), 5, 5}, at::kDouble);
  for (size_t i = 0; i < distances.size(); ++i) {
    result.select(4, distances[i][1] + 2).select(3, distances[i][0] + 2).copy_(products.select(3, static_cast<int64_t>(i)));
  }
  return result;
}

at::Tensor correlated_in_chunks(const at::Tensor& values, const at::Tensor& wide, int64_t groups) {
  const int64_t chunk = std::clamp<int64_t>(kChunk / (kShifts * values[0].numel()), 1, values.size(0));
  at::Tensor sum;
  for (int64_t first = 0; first < values.size(0); first += chunk) {
    const int64_t count = std::min(chunk, values.size(0) - first);
    const at::Tensor part = correlated(values.narrow(0, first, count), wide.narrow(0, first, count), groups);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

/// Of an edge, [N, C, L] with L >= 3: its correlations with itself at distances 0, 1 and 2, [groups, channels, channels, 3].
at::Tensor correlated_edge(const at::Tensor& edge, int64_t groups) {
  const int64_t channels = edge.size(1) / groups;
  if (correlates_at_once(edge)) {
    const at::Tensor line = edge.unsqueeze(2).contiguous();
    return correlate_planes(line, line, groups, {{0, 0}, {0, 1}, {0, 2}});
  }
  const at::Tensor lines = edge.view({edge.size(0), groups, channels, -1}).permute({1, 2, 0, 3});
  std::vector<at::Tensor> distances;
  for (int64_t distance = 0; distance < 3; ++distance) {
    const int64_t common = edge.size(2) - distance;
    const at::Tensor from = lines.narrow(3, 0, common).reshape({groups, channels, -1});
    const at::Tensor to = lines.narrow(3, distance, common).reshape({groups, channels, -1});
    distances.push_back(at::bmm(from, to.transpose(1, 2)).to(at::kDouble));
  }
  return at::stack(distances, 3);
}

/// Of a corner, [N, C]: [groups, channels, channels].
at::Tensor correlated_corner(const at::Tensor& corner, int64_t groups) {
  const at::Tensor values = corner.reshape({corner.size(0), groups, -1}).permute({1, 2, 0});
  return at::bmm(values, values.transpose(1, 2)).to(at::kDouble);
}

/// What the outputs do not see of an axis at kernel position 0 is its last index, at 2 the first; at 1 they see all.
int64_t unseen(int64_t position, int64_t size) { return position == 0 ? size - 1 : 0; }

}  // namespace

bool correlates(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape) {
  if (site.kind != LinearSite::Kind::Conv || input.dim() != 4 || output_shape.size() != 4) return false;
  const Shape& kernel = site.tensor.shape;
  const Node& node = *step.node;
  const auto all = [](const std::vector<int64_t>& values, int64_t value) {
    return std::all_of(values.begin(), values.end(), [value](int64_t one) { return one == value; });
  };
  const std::string automatic = node.text("auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER" || (automatic == "NOTSET" && all(node.integers("pads", {0, 0, 0, 0}), 1));
  return kernel.size() == 4 && kernel[2] == 3 && kernel[3] == 3 && same && all(node.integers("strides", {1, 1}), 1) && all(node.integers("dilations", {1, 1}), 1) &&
         input.size(2) >= 3 && input.size(3) >= 3 && output_shape[2] == input.size(2) && output_shape[3] == input.size(3);
}

bool correlates_at_once(const at::Tensor& input) { return solver_kernels().wide && input.scalar_type() == at::kFloat; }

void add_cross_correlations(const LinearSite& site, const at::Tensor& input, const at::Tensor& target, Moments& moments) {
  std::vector<std::array<int64_t, 2>> places;
  for (int64_t p = 0; p < 9; ++p) places.push_back({p / 3 - 1, p % 3 - 1});
  moments.cross.add_(correlate_planes(target, input, site.groups, places).view_as(moments.cross));
}

void add_correlations(const LinearSite& site, const at::Tensor& input, Moments& moments) {
  const int64_t groups = site.groups;
  const int64_t channels = input.size(1) / groups;
  const at::Tensor values = input.contiguous();
  const int64_t height = values.size(2);
  const int64_t width = values.size(3);
  const at::Tensor all = correlates_at_once(values) ? correlated_at_once(values, groups)
                                                    : correlated_in_chunks(values, at::constant_pad_nd(values, {2, 2, 2, 2}, 0), groups);
  const auto sum_of = [&](const at::Tensor& part, at::IntArrayRef axes) { return part.sum(axes, false, at::kDouble).view({groups, channels}); };
  const at::Tensor all_sum = sum_of(values, {0, 2, 3});
  std::array<at::Tensor, 3> row;  // by kernel position; none at 1
  std::array<at::Tensor, 3> row_sum;
  std::array<at::Tensor, 3> column;
  std::array<at::Tensor, 3> column_sum;
  for (const int64_t position : {0, 2}) {
    const at::Tensor line = values.select(2, unseen(position, height));
    const at::Tensor upright = values.select(3, unseen(position, width));
    row[position] = correlated_edge(line.contiguous(), groups);
    row_sum[position] = sum_of(line, {0, 2});
    column[position] = correlated_edge(upright.contiguous(), groups);
    column_sum[position] = sum_of(upright, {0, 2});
  }
  const at::Tensor gram = moments.gram.view({groups, channels, 9, channels, 9});
  const at::Tensor input_sum = moments.input_sum.view({groups, channels, 9});
  for (int64_t p = 0; p < 9; ++p) {
    const int64_t y = p / 3;
    const int64_t x = p % 3;
    const at::Tensor corner = y != 1 && x != 1 ? values.select(2, unseen(y, height)).select(2, unseen(x, width)) : at::Tensor();
    at::Tensor sum = all_sum.clone();
    if (y != 1) sum.sub_(row_sum[y]);
    if (x != 1) sum.sub_(column_sum[x]);
    if (corner.defined()) sum.add_(sum_of(corner, {0}));
    input_sum.select(2, p).add_(sum);
    for (int64_t q = p; q < 9; ++q) {
      const int64_t down = q / 3 - y;
      const int64_t along = q % 3 - x;
      at::Tensor block = all.select(4, along + 2).select(3, down + 2).clone();
      // From an edge, q lies on that edge too or outside the image.
      if (y != 1 && down == 0) block.sub_(row[y].select(3, along));
      if (x != 1 && along == 0) block.sub_(column[x].select(3, down));
      if (q == p && corner.defined()) block.add_(correlated_corner(corner, groups));
      gram.select(2, p).select(3, q).add_(block);
      if (q != p) gram.select(2, q).select(3, p).add_(block.transpose(1, 2));
    }
  }
  moments.count += static_cast<double>(input.size(0) * height * width);
}

}  // namespace sparsify
