// Convolutions without columns: the target and its products with the inputs, and both once more in front of Relu for the weights as they are now.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "base/interrupt.h"
#include "solvers/correlate.h"
#include "solvers/layer_fit.h"
#include "solvers/sparse_convolution.h"

namespace sparsify {
namespace {

/// What turns a value at the target into rows of z, for one output.
struct Channel {
  double scale;
  double shift;    ///< with what is added to z by the fitted bias
  double constant; ///< subtracted from the target
  double divisor;
  double pull;     ///< RetargetedOutput
};

/// `z` becomes the target; sums and squares are those of the result.
template <class Number>
void retarget_(Number* z, const Number* dense, const Number* skip, int64_t count, const Channel& channel, double& sum, double& squares) {
  const auto scale = static_cast<Number>(channel.scale);
  const auto shift = static_cast<Number>(channel.shift);
  const auto constant = static_cast<Number>(channel.constant);
  const auto factor = static_cast<Number>(1 / channel.divisor);
  const auto pull = static_cast<Number>(channel.pull);
  for (int64_t i = 0; i < count; ++i) {
    const Number added = skip == nullptr ? Number(0) : skip[i];
    const Number now = z[i] * scale + shift + added;
    const Number below = std::min(now, Number(0));
    const Number target = dense[i] > 0 ? dense[i] : below + pull * (dense[i] - below);
    const Number row = (target - added - constant) * factor;
    z[i] = row;
    sum += row;
    squares += static_cast<double>(row) * row;
  }
}

}  // namespace

/// The values of one batch at the layer, contiguous and in one type.
LayerFit::LayerValues LayerFit::values_at(size_t batch) const {
  LayerValues values;
  values.input = networks_.pruned_value(batch, site_.input_slot).to(at::kCPU);
  if (values.input.scalar_type() != at::kDouble) values.input = values.input.to(at::kFloat);
  values.dense = networks_.dense_value(batch, site_.target_slot).to(at::kCPU, values.input.scalar_type()).contiguous();
  if (site_.skip_slot < 0) return values;
  values.skip = networks_.pruned_value(batch, site_.skip_slot).to(at::kCPU, values.input.scalar_type()).expand_as(values.dense).contiguous();
  return values;
}

/// `shifts` [O]: what is added to z at the target.
std::vector<RetargetedOutput> LayerFit::outputs_with(const at::Tensor& shifts) const {
  std::vector<RetargetedOutput> outputs;
  for (int64_t row = 0; row < site_.rows; ++row) {
    const auto number = [&](const at::Tensor& values) { return static_cast<float>(values[row].item<double>()); };
    outputs.push_back({.scale = number(site_.scale), .shift = number(shifts), .constant = number(site_.shift), .factor = number(1 / divisor_),
                       .pull = static_cast<float>(1 - options_.relu)});
  }
  return outputs;
}

/// The moments of one batch without columns; false where that cannot be.
bool LayerFit::collect_at_once(size_t batch) {
  const Step& step = networks_.pruned().plan().steps[site_.step];
  if (site_.kind != LinearSite::Kind::Conv || site_.live_inputs.defined()) return false;
  const LayerValues values = values_at(batch);
  if (!correlates_at_once(values.input) || !correlates(site_, step, values.input, values.dense.sizes())) return false;
  prepare(site_, moments_);
  const at::Tensor input = values.input.contiguous();
  const at::Tensor target = at::empty_like(values.dense);
  const std::vector<RetargetedOutput> outputs = outputs_with(site_.shift);
  const int64_t positions = target.size(2) * target.size(3);
  const auto place = [&](const at::Tensor& tensor, int64_t sample, int64_t row) {
    return tensor.defined() ? tensor.data_ptr<float>() + (sample * site_.rows + row) * positions : nullptr;
  };
  double* sums = moments_.target_sum.data_ptr<double>();
  double* squares = moments_.target_squares.data_ptr<double>();
  at::parallel_for(0, site_.rows, 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      for (int64_t sample = 0; sample < target.size(0); ++sample) {
        solver_kernels().target(place(values.dense, sample, row), place(values.skip, sample, row), positions, outputs[static_cast<size_t>(row)],
                                place(target, sample, row), sums + row, squares + row);
      }
    }
  });
  add_correlations(site_, input, moments_);
  add_cross_correlations(site_, input, target, moments_);
  return true;
}

void LayerFit::refresh_sparsely(const at::Tensor& weights, const at::Tensor& kept) {
  SparseConvolution convolution(site_, networks_.pruned().plan().steps[site_.step], weights, kept,
                                outputs_with(site_.shift + site_.scale * shift_for(weights)));
  for (size_t batch = 0; batch < batches_; ++batch) {
    check_interrupt();
    const LayerValues values = values_at(batch);
    convolution.add(values.input.contiguous(), values.dense, values.skip);
  }
  moments_.cross = convolution.cross();
  moments_.target_sum = convolution.sums();
  moments_.target_squares = convolution.squares();
  complete_rows();
}

void LayerFit::refresh_convolution(const at::Tensor& weights, const at::Tensor& kept) {
  if (solver_kernels().wide && SparseConvolution::fits(site_, values_at(0).input)) return refresh_sparsely(weights, kept);
  const Step& step = networks_.pruned().plan().steps[site_.step];
  const at::Tensor bias = shift_for(weights);
  const at::Tensor scales = site_.scale.contiguous();
  const at::Tensor shifts = (site_.shift + site_.scale * bias).contiguous();
  const at::Tensor constants = site_.shift.contiguous();
  const at::Tensor divisors = divisor_.contiguous();
  at::Tensor cross = at::zeros_like(dense_weights_);
  at::Tensor sums = at::zeros({site_.rows}, at::kDouble);
  at::Tensor squares = at::zeros({site_.rows}, at::kDouble);
  for (size_t batch = 0; batch < batches_; ++batch) {
    check_interrupt();
    const auto [input, dense, skip] = values_at(batch);
    at::Tensor z = site_convolve(site_, step, input, dense.sizes(), weights).contiguous();
    const int64_t samples = z.size(0);
    const int64_t positions = z.numel() / (samples * site_.rows);
    const auto run = [&](auto number) {
      using Number = decltype(number);
      at::parallel_for(0, site_.rows, 1, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
          const Channel channel{scales.data_ptr<double>()[row], shifts.data_ptr<double>()[row], constants.data_ptr<double>()[row],
                                divisors.data_ptr<double>()[row], 1 - options_.relu};
          for (int64_t sample = 0; sample < samples; ++sample) {
            const int64_t at = (sample * site_.rows + row) * positions;
            retarget_(z.data_ptr<Number>() + at, dense.data_ptr<Number>() + at, skip.defined() ? skip.data_ptr<Number>() + at : nullptr,
                      positions, channel, sums.data_ptr<double>()[row], squares.data_ptr<double>()[row]);
          }
        }
      });
    };
    if (z.scalar_type() == at::kDouble) {
      run(double{});
    } else {
      run(float{});
    }
    cross.add_(site_weight_gradient(site_, step, input, dense.sizes(), z));
  }
  moments_.cross = cross;
  moments_.target_sum = sums;
  moments_.target_squares = squares;
  complete_rows();
}

}  // namespace sparsify
