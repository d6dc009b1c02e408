#include "solvers/sparse_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "solvers/convolution_geometry.h"

namespace sparsify {
namespace {

/// Floats of the planes that a band of outputs reads: they stay in the first cache.
constexpr int64_t kBand = 6 * 1024;
/// A band has at least so many positions, or what is done once a weight costs more than its products.
constexpr int64_t kLeastPositions = 64;

int64_t rounded(int64_t positions) { return (positions + SolverKernels::kLanes - 1) / SolverKernels::kLanes * SolverKernels::kLanes; }

/// One number for each of two axes; a convolution over one axis has a second one in front.
std::array<int64_t, 2> two(const std::vector<int64_t>& axes, int64_t missing) {
  return axes.size() == 2 ? std::array{axes[0], axes[1]} : std::array{missing, axes[0]};
}

std::vector<int64_t> spatial(at::IntArrayRef shape) { return {shape.begin() + 2, shape.end()}; }

}  // namespace

bool SparseConvolution::fits(const LinearSite& site, const at::Tensor& input) {
  return site.kind == LinearSite::Kind::Conv && (input.dim() == 3 || input.dim() == 4) && input.scalar_type() == at::kFloat;
}

SparseConvolution::SparseConvolution(const LinearSite& site, const Step& step, const at::Tensor& weights, const at::Tensor& kept,
                                     std::vector<RetargetedOutput> outputs)
    : site_(site), step_(step), outputs_(std::move(outputs)), starts_{0} {
  const at::Tensor values = weights.to(at::kFloat).contiguous();
  const at::Tensor present = kept.contiguous();
  for (int64_t row = 0; row < site.rows; ++row) {
    for (int64_t column = 0; column < site.columns; ++column) {
      if (!present.data_ptr<bool>()[row * site.columns + column]) continue;
      columns_.push_back(static_cast<int32_t>(column));
      weights_.push_back(values.data_ptr<float>()[row * site.columns + column]);
    }
    starts_.push_back(static_cast<int64_t>(columns_.size()));
  }
  totals_.cross.assign(columns_.size(), 0);
  totals_.sums.assign(static_cast<size_t>(site.rows), 0);
  totals_.squares.assign(static_cast<size_t>(site.rows), 0);
}

void SparseConvolution::lay_out(at::IntArrayRef input, at::IntArrayRef output) {
  if (input_shape_ == spatial(input) && output_shape_ == spatial(output)) return;
  input_shape_ = spatial(input);
  output_shape_ = spatial(output);
  const ConvolutionGeometry geometry = geometry_of(site_, *step_.node, input, output);
  const std::array<int64_t, 2> kernel = two(geometry.kernel, 1);
  const std::array<int64_t, 2> dilations = two(geometry.dilations, 1);
  Layout layout{.input = two(input_shape_, 1), .output = two(output_shape_, 1), .strides = two(geometry.strides, 1), .begin = two(geometry.begin, 0)};
  for (size_t axis = 0; axis < 2; ++axis) {
    layout.plane[axis] = layout.output[axis] + (kernel[axis] - 1) * dilations[axis] / layout.strides[axis];
  }
  layout.plane_size = layout.plane[0] * layout.plane[1];
  layout.reach = (kernel[0] - 1) * dilations[0] / layout.strides[0];
  std::vector<std::pair<int64_t, int64_t>> places;  // of each kernel position: its phase, its distance
  for (int64_t y = 0; y < kernel[0]; ++y) {
    for (int64_t x = 0; x < kernel[1]; ++x) {
      const std::array<int64_t, 2> phase{y * dilations[0] % layout.strides[0], x * dilations[1] % layout.strides[1]};
      const auto found = std::find(layout.phases.begin(), layout.phases.end(), phase);
      places.emplace_back(found - layout.phases.begin(), y * dilations[0] / layout.strides[0] * layout.plane[1] + x * dilations[1] / layout.strides[1]);
      if (found == layout.phases.end()) layout.phases.push_back(phase);
    }
  }
  const auto positions = static_cast<int64_t>(places.size());
  const auto phases = static_cast<int64_t>(layout.phases.size());
  for (const int32_t column : columns_) {
    const auto& [phase, distance] = places[static_cast<size_t>(column % positions)];
    layout.offsets.push_back(static_cast<int32_t>((column / positions * phases + phase) * layout.plane_size + distance));
  }
  layout_ = std::move(layout);
}

/// The channels of one group as planes; `planes` is zero where nothing is written.
void SparseConvolution::fill(const float* image, int64_t channels, float* planes) const {
  const Layout& layout = layout_;
  for (int64_t channel = 0; channel < channels; ++channel, image += layout.input[0] * layout.input[1]) {
    for (const std::array<int64_t, 2>& phase : layout.phases) {
      // Plane index i holds index i * stride + phase - begin of the input.
      std::array<int64_t, 2> first{};
      std::array<int64_t, 2> last{};
      for (size_t axis = 0; axis < 2; ++axis) {
        const int64_t shift = layout.begin[axis] - phase[axis];
        first[axis] = shift <= 0 ? 0 : (shift + layout.strides[axis] - 1) / layout.strides[axis];
        const int64_t end = layout.input[axis] - 1 + shift;
        last[axis] = end < 0 ? 0 : std::min(layout.plane[axis], end / layout.strides[axis] + 1);
      }
      for (int64_t y = first[0]; y < last[0]; ++y) {
        const float* from = image + (y * layout.strides[0] + phase[0] - layout.begin[0]) * layout.input[1] + phase[1] - layout.begin[1];
        float* to = planes + y * layout.plane[1];
        if (layout.strides[1] == 1) {
          std::copy(from + first[1], from + std::max(first[1], last[1]), to + first[1]);
        } else {
          for (int64_t x = first[1]; x < last[1]; ++x) to[x] = from[x * layout.strides[1]];
        }
      }
      planes += layout.plane_size;
    }
  }
}

void SparseConvolution::add_image(const float* input, const float* dense, const float* skip, std::vector<float>& planes, std::vector<float>& row,
                                  Totals& totals) const {
  const Layout& layout = layout_;
  const SolverKernels& kernels = solver_kernels();
  const int64_t channels = site_.tensor.shape[1];
  const int64_t outputs = site_.rows / site_.groups;
  const int64_t width = layout.output[1];
  const int64_t stride = layout.plane[1];
  const int64_t held = channels * static_cast<int64_t>(layout.phases.size()) * stride;  // floats a row of the planes
  const int64_t fitting = std::max(kBand / std::max<int64_t>(1, held) - layout.reach, (kLeastPositions + stride - 1) / stride);
  const int64_t bands = (layout.output[0] + fitting - 1) / fitting;
  const int64_t most = (layout.output[0] + bands - 1) / bands;
  for (int64_t group = 0; group < site_.groups; ++group) {
    fill(input + group * channels * layout.input[0] * layout.input[1], channels, planes.data());
    for (int64_t top = 0; top < layout.output[0]; top += most) {
      const int64_t rows = std::min(most, layout.output[0] - top);
      const int64_t positions = rounded((rows - 1) * stride + width);
      const float* from = planes.data() + top * stride;
      for (int64_t output = group * outputs; output < (group + 1) * outputs; ++output) {
        const auto own = static_cast<size_t>(output);
        const int64_t start = starts_[own];
        const int64_t count = starts_[own + 1] - start;
        const int64_t place = (output * layout.output[0] + top) * width;
        kernels.multiply(from, layout.offsets.data() + start, weights_.data() + start, count, positions, row.data());
        kernels.retarget(row.data(), dense + place, skip == nullptr ? nullptr : skip + place, rows, width, stride, positions, outputs_[own],
                         &totals.sums[own], &totals.squares[own]);
        kernels.correlate(from, row.data(), layout.offsets.data() + start, count, positions, totals.cross.data() + start);
      }
    }
  }
}

void SparseConvolution::add(const at::Tensor& input, const at::Tensor& dense, const at::Tensor& skip) {
  lay_out(input.sizes(), dense.sizes());
  const int64_t samples = input.size(0);
  const int64_t threads = std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(1, samples));
  const int64_t planes = site_.tensor.shape[1] * static_cast<int64_t>(layout_.phases.size()) * layout_.plane_size;
  const int64_t slack = 2 * SolverKernels::kLanes;  // what is read behind the last row
  std::vector<Totals> parts(static_cast<size_t>(threads));
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      Totals& totals = parts[static_cast<size_t>(part)];
      totals = {std::vector<double>(columns_.size()), std::vector<double>(outputs_.size()), std::vector<double>(outputs_.size())};
      std::vector<float> images(static_cast<size_t>(planes + slack));
      std::vector<float> row(static_cast<size_t>(rounded(layout_.plane_size) + slack));
      for (int64_t sample = part * samples / threads; sample < (part + 1) * samples / threads; ++sample) {
        add_image(input.const_data_ptr<float>() + sample * input.stride(0), dense.const_data_ptr<float>() + sample * dense.stride(0),
                  skip.defined() ? skip.const_data_ptr<float>() + sample * skip.stride(0) : nullptr, images, row, totals);
      }
    }
  });
  const auto add_to = [](std::vector<double>& sums, const std::vector<double>& more) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
  };
  for (const Totals& part : parts) {  // in order: the same threads give the same sums
    add_to(totals_.cross, part.cross);
    add_to(totals_.sums, part.sums);
    add_to(totals_.squares, part.squares);
  }
}

at::Tensor SparseConvolution::cross() const {
  at::Tensor cross = at::zeros({site_.rows, site_.columns}, at::kDouble);
  for (int64_t row = 0; row < site_.rows; ++row) {
    for (int64_t i = starts_[static_cast<size_t>(row)]; i < starts_[static_cast<size_t>(row) + 1]; ++i) {
      cross.data_ptr<double>()[row * site_.columns + columns_[static_cast<size_t>(i)]] = totals_.cross[static_cast<size_t>(i)];
    }
  }
  return cross;
}

at::Tensor SparseConvolution::sums() const { return at::tensor(totals_.sums, at::kDouble); }
at::Tensor SparseConvolution::squares() const { return at::tensor(totals_.squares, at::kDouble); }

}  // namespace sparsify
