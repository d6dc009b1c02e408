// Detection: pooling of regions, non-maximum suppression.
#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "program/op.h"

namespace sparsify {
namespace {

/// Samples along one axis of a region: two neighbours each, weights 0 where the sample lies outside
/// the picture.
struct Samples {
  std::vector<int64_t> low;
  std::vector<int64_t> high;
  std::vector<float> low_weight;
  std::vector<float> high_weight;
  int64_t per_cell = 1;
};

Samples samples_along(float start, float end, int64_t cells, int64_t ratio, bool may_vanish,
                      int64_t size) {
  float length = end - start;
  if (!may_vanish) length = std::max(length, 1.F);
  const float cell = length / static_cast<float>(cells);
  Samples samples;
  samples.per_cell = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(cell));
  for (int64_t i = 0; i < cells; ++i) {
    for (int64_t k = 0; k < samples.per_cell; ++k) {
      const float offset =
          (static_cast<float>(k) + 0.5F) * cell / static_cast<float>(samples.per_cell);
      float at = start + static_cast<float>(i) * cell + offset;
      const bool outside = at < -1.F || at > static_cast<float>(size);
      at = std::max(at, 0.F);
      int64_t low = std::min(static_cast<int64_t>(at), size - 1);
      if (low == size - 1) at = static_cast<float>(low);
      if (outside) low = 0;
      const float fraction = at - static_cast<float>(low);
      samples.low.push_back(low);
      samples.high.push_back(std::min(low + 1, size - 1));
      samples.low_weight.push_back(outside ? 0.F : 1.F - fraction);
      samples.high_weight.push_back(outside ? 0.F : fraction);
    }
  }
  return samples;
}

at::Tensor floats(const std::vector<float>& values, const at::Tensor& like) {
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions(at::kFloat));
  std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
  return tensor.to(like.device(), like.scalar_type());
}

/// Averages of each cell as a matrix [cells, last - first]; bilinear sampling is separable.
at::Tensor averaging_matrix(const Samples& samples, int64_t cells, int64_t first, int64_t last,
                            const at::Tensor& like) {
  std::vector<float> matrix(static_cast<size_t>(cells * (last - first)), 0.F);
  for (size_t i = 0; i < samples.low.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / samples.per_cell * (last - first);
    matrix[static_cast<size_t>(row + samples.low[i] - first)] +=
        samples.low_weight[i] / static_cast<float>(samples.per_cell);
    matrix[static_cast<size_t>(row + samples.high[i] - first)] +=
        samples.high_weight[i] / static_cast<float>(samples.per_cell);
  }
  return floats(matrix, like).view({cells, last - first});
}

at::Tensor averages(const at::Tensor& image, const Samples& rows, const Samples& columns,
                    int64_t height, int64_t width) {
  const int64_t top = *std::min_element(rows.low.begin(), rows.low.end());
  const int64_t bottom = *std::max_element(rows.high.begin(), rows.high.end()) + 1;
  const int64_t left = *std::min_element(columns.low.begin(), columns.low.end());
  const int64_t right = *std::max_element(columns.high.begin(), columns.high.end()) + 1;
  const at::Tensor part = image.slice(1, top, bottom).slice(2, left, right);
  const at::Tensor across =
      at::matmul(part, averaging_matrix(columns, width, left, right, image).t());
  return at::matmul(averaging_matrix(rows, height, top, bottom, image), across);
}

/// The standard's reference takes the largest of the four weighted corners of each sample.
at::Tensor maxima(const at::Tensor& image, const Samples& rows, const Samples& columns,
                  int64_t height, int64_t width) {
  at::Tensor best;
  for (const bool lower : {true, false}) {
    const at::Tensor row_weight =
        floats(lower ? rows.low_weight : rows.high_weight, image).unsqueeze(1);
    const at::Tensor picked =
        image.index_select(1, integer_tensor(lower ? rows.low : rows.high).to(image.device())) *
        row_weight;
    for (const bool left : {true, false}) {
      const at::Tensor weight = floats(left ? columns.low_weight : columns.high_weight, image);
      const at::Tensor corner =
          picked.index_select(
              2, integer_tensor(left ? columns.low : columns.high).to(image.device())) *
          weight;
      best = best.defined() ? at::max(best, corner) : corner;
    }
  }
  return best.view({image.size(0), height, rows.per_cell, width, columns.per_cell}).amax({2, 4});
}

/// Mask R-CNN's pooling (He et al. 2017): X [N, C, H, W], rois [R, 4] as x1, y1, x2, y2,
/// batch_indices [R].
void roi_align(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor regions = call.tensor(1).detach().to(at::kCPU, at::kFloat).contiguous();
  const std::vector<int64_t> batches = call.integers(2);
  const int64_t height = call.attribute("output_height", 1);
  const int64_t width = call.attribute("output_width", 1);
  const int64_t ratio = call.attribute("sampling_ratio", 0);
  const auto scale = static_cast<float>(call.attribute_number("spatial_scale", 1));
  const bool average = call.attribute_text("mode", "avg") == "avg";
  const std::string otherwise = call.opset() >= 16 ? "half_pixel" : "output_half_pixel";
  const bool half_pixel =
      call.attribute_text("coordinate_transformation_mode", otherwise) == "half_pixel";
  const float shift = half_pixel ? 0.5F : 0.F;
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < batches.size(); ++i) {
    if (batches[i] < 0 || batches[i] >= input.size(0)) {
      call.fail(fmt::format("region {} names image {} of {}", i, batches[i], input.size(0)),
                "check batch_indices");
    }
    const float* box = regions.const_data_ptr<float>() + i * 4;
    const Samples rows = samples_along(box[1] * scale - shift, box[3] * scale - shift, height,
                                       ratio, half_pixel, input.size(2));
    const Samples columns = samples_along(box[0] * scale - shift, box[2] * scale - shift, width,
                                          ratio, half_pixel, input.size(3));
    const at::Tensor image = input.select(0, batches[i]);
    if (rows.low.empty() || columns.low.empty()) {  // a region without extent has no samples
      outputs.push_back(input.new_zeros({input.size(1), height, width}));
    } else {
      outputs.push_back(average ? averages(image, rows, columns, height, width)
                                : maxima(image, rows, columns, height, width));
    }
  }
  call.set(
      0, outputs.empty() ? input.new_zeros({0, input.size(1), height, width}) : at::stack(outputs));
}

/// Fast R-CNN's pooling (Girshick 2015): maxima over a grid of cells of each region, borders
/// rounded.
void max_roi_pool(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const at::Tensor regions = call.tensor(1).detach().to(at::kCPU, at::kFloat).contiguous();
  const std::vector<int64_t> pooled = call.attribute_integers("pooled_shape");
  if (pooled.size() != 2)
    call.fail("attribute \"pooled_shape\" needs two entries", "export the model again");
  const auto scale = static_cast<float>(call.attribute_number("spatial_scale", 1));
  const auto cells = [](float from, float to, int64_t count, int64_t size) {
    const auto start = static_cast<int64_t>(std::round(from));
    const int64_t length = std::max<int64_t>(static_cast<int64_t>(std::round(to)) - start + 1, 1);
    const float step = static_cast<float>(length) / static_cast<float>(count);
    std::vector<std::pair<int64_t, int64_t>> borders;
    for (int64_t cell = 0; cell < count; ++cell) {
      const auto low = static_cast<int64_t>(std::floor(static_cast<float>(cell) * step));
      const auto high = static_cast<int64_t>(std::ceil(static_cast<float>(cell + 1) * step));
      borders.emplace_back(std::clamp<int64_t>(low + start, 0, size),
                           std::clamp<int64_t>(high + start, 0, size));
    }
    return borders;
  };
  std::vector<at::Tensor> parts;
  for (int64_t region = 0; region < regions.size(0); ++region) {
    const float* row = regions.const_data_ptr<float>() + region * 5;
    const auto batch = static_cast<int64_t>(row[0]);
    if (batch < 0 || batch >= input.size(0)) {
      call.fail(fmt::format("region {} names image {} of {}", region, batch, input.size(0)),
                "check the regions");
    }
    const at::Tensor image = input.select(0, batch);
    for (const auto& [top, bottom] :
         cells(row[2] * scale, row[4] * scale, pooled[0], input.size(2))) {
      for (const auto& [left, right] :
           cells(row[1] * scale, row[3] * scale, pooled[1], input.size(3))) {
        const bool none = top >= bottom || left >= right;
        parts.push_back(none ? input.new_zeros({input.size(1)})
                             : image.slice(1, top, bottom).slice(2, left, right).amax({1, 2}));
      }
    }
  }
  const std::vector<int64_t> shape{regions.size(0), pooled[0], pooled[1], input.size(1)};
  call.set(0, parts.empty() ? input.new_zeros({0, input.size(1), pooled[0], pooled[1]})
                            : at::stack(parts).view(shape).permute({0, 3, 1, 2}).contiguous());
}

struct Box {
  float top = 0, left = 0, bottom = 0, right = 0;
  float area() const { return (bottom - top) * (right - left); }
};

Box box_from(const float* at, bool centred) {
  if (centred) return {at[1] - at[3] / 2, at[0] - at[2] / 2, at[1] + at[3] / 2, at[0] + at[2] / 2};
  return {std::min(at[0], at[2]), std::min(at[1], at[3]), std::max(at[0], at[2]),
          std::max(at[1], at[3])};
}

float overlap(const Box& a, const Box& b) {
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (height <= 0 || width <= 0) return 0;
  const float both = height * width;
  return both / (a.area() + b.area() - both);
}

/// boxes [N, B, 4], scores [N, classes, B] -> [selected, 3] as (batch, class, box), best first
/// within a class.
void non_max_suppression(OpCall& call) {
  const at::Tensor boxes = call.tensor(0).detach().to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor scores = call.tensor(1).detach().to(at::kCPU, at::kFloat).contiguous();
  const int64_t limit = call.has(2) ? call.integer(2) : 0;
  const auto overlap_limit = static_cast<float>(call.has(3) ? call.number(3) : 0);
  const bool has_score_limit = call.has(4);
  const auto score_limit = static_cast<float>(has_score_limit ? call.number(4) : 0);
  const bool centred = call.attribute("center_point_box", 0) != 0;
  const int64_t count = boxes.size(1);
  std::vector<int64_t> selected;
  for (int64_t batch = 0; batch < boxes.size(0); ++batch) {
    for (int64_t label = 0; label < scores.size(1); ++label) {
      const float* score =
          scores.const_data_ptr<float>() + (batch * scores.size(1) + label) * count;
      std::vector<int64_t> order;
      for (int64_t box = 0; box < count; ++box) {
        if (!has_score_limit || score[box] > score_limit) order.push_back(box);
      }
      std::stable_sort(order.begin(), order.end(),
                       [score](int64_t a, int64_t b) { return score[a] > score[b]; });
      std::vector<Box> kept;
      for (const int64_t index : order) {
        if (static_cast<int64_t>(kept.size()) >= limit) break;
        const Box box =
            box_from(boxes.const_data_ptr<float>() + (batch * count + index) * 4, centred);
        const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Box& other) {
          return overlap(box, other) > overlap_limit;
        });
        if (covered) continue;
        kept.push_back(box);
        selected.insert(selected.end(), {batch, label, index});
      }
    }
  }
  call.set(0, integer_tensor(selected).view({-1, 3}));
}

const RegisterOps entries{
    {.name = "MaxRoiPool",
     .function = max_roi_pool,
     .gradient = Gradient::Some,
     .notes = "gradient for X only"},
    {.name = "RoiAlign",
     .function = roi_align,
     .gradient = Gradient::Some,
     .notes = "gradient for X only"},
    {.name = "NonMaxSuppression",
     .function = non_max_suppression,
     .gradient = Gradient::No,
     .shape_inputs = kAllInputs,
     .notes = "selects indices"},
};

}  // namespace
}  // namespace sparsify
