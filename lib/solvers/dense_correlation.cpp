#include "solvers/dense_correlation.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdlib>

#include "solvers/kernels.h"

namespace sparsify {
namespace {

constexpr int64_t kRows = SolverKernels::kTileRows;
constexpr int64_t kColumns = SolverKernels::kTileColumns;
/// Positions over which float32 products are summed: four rows of so many and what they meet stay in the first cache.
constexpr int64_t kPositions = 1152;

int64_t rounded(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/// Images with zeros around them: rows of numbers that are `stride` apart, `above` of them empty.
struct Frame {
  int64_t height = 0;
  int64_t width = 0;
  int64_t stride = 0;
  int64_t above = 0;  ///< empty rows in front
  int64_t left = 0;   ///< empty places in front of a row
  int64_t size = 0;   ///< of an image
};

void lay_out(const float* image, const Frame& frame, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i, image += frame.height * frame.width, to += frame.size) {
    for (int64_t y = 0; y < frame.height; ++y) {
      std::copy_n(image + y * frame.width, frame.width, to + (frame.above + y) * frame.stride + frame.left);
    }
  }
}

}  // namespace

at::Tensor correlate_planes(const at::Tensor& rows, const at::Tensor& planes, int64_t groups, const std::vector<std::array<int64_t, 2>>& distances) {
  const int64_t samples = rows.size(0);
  const int64_t own = rows.size(1) / groups;
  const int64_t channels = planes.size(1) / groups;
  const int64_t height = rows.size(2);
  const int64_t width = rows.size(3);
  int64_t down = 0;
  int64_t along = 0;
  for (const auto& [y, x] : distances) {
    down = std::max(down, std::abs(y));
    along = std::max(along, std::abs(x));
  }
  // One empty border between two rows serves as the end of the one and the front of the other.
  const int64_t stride = width + along;
  const int64_t positions = rounded((height - 1) * stride + width, SolverKernels::kLanes);
  const Frame row_frame{.height = height, .width = width, .stride = stride, .size = positions};
  const Frame frame{.height = height, .width = width, .stride = stride, .above = down, .left = along,
                    .size = rounded((height + 2 * down) * stride + along + SolverKernels::kLanes, SolverKernels::kLanes)};
  std::vector<int32_t> offsets;  // from position (0, 0) of an output; filled up to whole tiles
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (const auto& [y, x] : distances) offsets.push_back(static_cast<int32_t>(channel * frame.size + (down + y) * stride + along + x));
  }
  const auto wanted = static_cast<int64_t>(offsets.size());
  while (static_cast<int64_t>(offsets.size()) % kColumns != 0) offsets.push_back(offsets.front());
  const auto columns = static_cast<int64_t>(offsets.size());
  const int64_t tall = rounded(own, kRows);
  const int64_t chunks = (positions + kPositions - 1) / kPositions;
  const int64_t chunk = rounded((positions + chunks - 1) / chunks, SolverKernels::kLanes);
  const int64_t together = std::clamp<int64_t>(kPositions / positions, 1, samples);
  const int64_t blocks = (samples + together - 1) / together;
  const int64_t threads = std::clamp<int64_t>(at::get_num_threads(), 1, blocks);
  const SolverKernels& kernels = solver_kernels();
  std::vector<std::vector<double>> parts(static_cast<size_t>(threads));
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      std::vector<double>& sums = parts[static_cast<size_t>(part)];
      sums.assign(static_cast<size_t>(groups * tall * columns), 0);
      std::vector<float> targets(static_cast<size_t>(together * tall * positions));
      std::vector<float> images(static_cast<size_t>(together * channels * frame.size));
      for (int64_t block = part * blocks / threads; block < (part + 1) * blocks / threads; ++block) {
        const int64_t begin = block * together;
        const int64_t count = std::min(together, samples - begin);
        for (int64_t group = 0; group < groups; ++group) {
          for (int64_t i = 0; i < count; ++i) {
            lay_out(rows.const_data_ptr<float>() + ((begin + i) * groups + group) * own * height * width, row_frame, own, targets.data() + i * tall * positions);
            lay_out(planes.const_data_ptr<float>() + ((begin + i) * groups + group) * channels * height * width, frame, channels,
                    images.data() + i * channels * frame.size);
          }
          for (int64_t from = 0; from < positions; from += chunk) {
            for (int64_t row = 0; row < tall; row += kRows) {
              kernels.correlate_tiles({.rows = targets.data() + row * positions + from,
                                       .row_distance = positions,
                                       .row_image = tall * positions,
                                       .planes = images.data() + from,
                                       .plane_image = channels * frame.size,
                                       .offsets = offsets.data(),
                                       .columns = columns,
                                       .images = count,
                                       .positions = std::min(chunk, positions - from)},
                                      sums.data() + (group * tall + row) * columns);
            }
          }
        }
      }
    }
  });
  at::Tensor result = at::zeros({groups, tall, columns}, at::kDouble);
  for (const std::vector<double>& part : parts) {  // in order: the same threads give the same sums
    result.add_(at::from_blob(const_cast<double*>(part.data()), {groups, tall, columns}, at::kDouble));
  }
  return result.narrow(1, 0, own).narrow(2, 0, wanted).contiguous().view({groups, own, channels, static_cast<int64_t>(distances.size())});
}

}  // namespace sparsify
