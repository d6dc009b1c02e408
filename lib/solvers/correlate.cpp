#include "solvers/correlate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
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

/// Part of an axis: all, the first or the last index.
enum class Part { All, First, Last };

at::Tensor part_of(const at::Tensor& values, int64_t axis, Part part) {
  if (part == Part::All) return values;
  return values.narrow(axis, part == Part::First ? 0 : values.size(axis) - 1, 1);
}

/// `wide` has two more zeros on either side: the part, and two indices around it.
at::Tensor surroundings_of(const at::Tensor& wide, int64_t axis, Part part) {
  if (part == Part::All) return wide;
  return wide.narrow(axis, part == Part::First ? 0 : wide.size(axis) - 5, 5);
}

/// Where an output at the edge would read position p of the kernel from, no output exists: p = 0 never sees the last row as its own, p = 2 never the first.
std::optional<Part> missing(int64_t p) {
  if (p == 1) return std::nullopt;
  return p == 0 ? Part::Last : Part::First;
}

/// Correlations [groups, channels, channels, 5, 5] of a part with what surrounds it; those that point backwards are not needed and stay zero.
at::Tensor correlated(const at::Tensor& own, const at::Tensor& around, int64_t groups) {
  const int64_t channels = own.size(1) / groups;
  if (groups > 1) {
    const at::Tensor kernel = at::empty({own.size(1), channels, 5, 5}, own.options());
    const auto gradients = at::convolution_backward(own, around, kernel, std::nullopt, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, groups, {false, true, false});
    return std::get<1>(gradients).to(at::kDouble).view({groups, channels, channels, 5, 5});
  }
  const at::Tensor rows = own.transpose(0, 1).reshape({channels, -1});
  at::Tensor result = at::zeros({1, channels, channels, 5, 5}, at::kDouble);
  const auto add = [&](int64_t down, int64_t lines, int64_t along, int64_t places) {
    const at::Tensor from = around.narrow(2, down, around.size(2) - down).narrow(3, along, around.size(3) - along);
    const at::Tensor shifted = from.as_strided({channels, lines, places, own.size(0), own.size(2), own.size(3)},
                                               {from.stride(1), from.stride(2), from.stride(3), from.stride(0), from.stride(2), from.stride(3)});
    const at::Tensor products = at::mm(rows, shifted.reshape({channels * lines * places, -1}).t());
    result[0].narrow(2, down, lines).narrow(3, along, places).copy_(products.view({channels, channels, lines, places}));
  };
  add(2, 1, 2, 3);
  add(3, 2, 0, 5);
  return result;
}

size_t slot_of(Part rows, Part columns) { return static_cast<size_t>(rows) * 3 + static_cast<size_t>(columns); }

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
  const int64_t channels = input.size(1) / site.groups;
  const int64_t positions = input.size(2) * input.size(3);
  std::array<at::Tensor, 9> correlation;  // [groups, channels, channels, 5, 5] by slot_of()
  std::array<at::Tensor, 9> sums;         // [groups, channels]
  const at::Tensor values = input.contiguous();
  const at::Tensor wide = at::constant_pad_nd(values, {2, 2, 2, 2}, 0);
  for (const Part rows : {Part::All, Part::First, Part::Last}) {
    for (const Part columns : {Part::All, Part::First, Part::Last}) {
      const bool whole = rows == Part::All && columns == Part::All;
      const at::Tensor own = part_of(part_of(values, 2, rows), 3, columns).contiguous();
      const size_t slot = slot_of(rows, columns);
      sums[slot] = own.sum({0, 2, 3}, false, at::kDouble).view({site.groups, channels});
      if (whole) {
        correlation[slot] = correlates_at_once(values) ? correlated_at_once(values, site.groups) : correlated_in_chunks(values, wide, site.groups);
      } else {
        correlation[slot] = correlated(own, surroundings_of(surroundings_of(wide, 2, rows), 3, columns).contiguous(), site.groups);
      }
    }
  }
  // Of one kernel place, what the outputs see: all less the missing row and column, and what both have in common once.
  const auto seen = [](const std::array<at::Tensor, 9>& parts, int64_t y, int64_t x, const auto& take) {
    const std::optional<Part> row = missing(y);
    const std::optional<Part> column = missing(x);
    at::Tensor result = take(parts[slot_of(Part::All, Part::All)]).clone();
    if (row) result.sub_(take(parts[slot_of(*row, Part::All)]));
    if (column) result.sub_(take(parts[slot_of(Part::All, *column)]));
    if (row && column) result.add_(take(parts[slot_of(*row, *column)]));
    return result;
  };
  const at::Tensor gram = moments.gram.view({site.groups, channels, 9, channels, 9});
  const at::Tensor input_sum = moments.input_sum.view({site.groups, channels, 9});
  for (int64_t p = 0; p < 9; ++p) {
    input_sum.select(2, p).add_(seen(sums, p / 3, p % 3, [](const at::Tensor& sum) { return sum; }));
    for (int64_t q = p; q < 9; ++q) {
      const int64_t down = q / 3 - p / 3 + 2;
      const int64_t along = q % 3 - p % 3 + 2;
      const at::Tensor block = seen(correlation, p / 3, p % 3, [&](const at::Tensor& all) { return all.select(4, along).select(3, down); });
      gram.select(2, p).select(3, q).add_(block);
      if (q != p) gram.select(2, q).select(3, p).add_(block.transpose(1, 2));
    }
  }
  moments.count += static_cast<double>(input.size(0) * positions);
}

}  // namespace sparsify
