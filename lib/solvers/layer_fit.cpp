#include "solvers/layer_fit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"
#include "base/interrupt.h"

namespace sparsify {
namespace {

/// Outputs that BatchNormalization makes this much smaller than its largest have no say in what the next layer sees, and
/// dividing by their scale would turn rounding errors into weights.
constexpr double kSmallestScale = 1e-3;

at::Tensor column_of(const at::Tensor& values, const at::Tensor& like) { return values.to(like.scalar_type()).unsqueeze(1); }

}  // namespace

LayerFit::LayerFit(NetworkPair& networks, const LinearSite& site, const TargetOptions& options, size_t batches)
    : networks_(networks), site_(site), options_(options), batches_(batches == 0 ? networks.batches() : std::min(batches, networks.batches())) {
  dense_weights_ = to_matrix(site, parameter(site.tensor.id).tensor);
  if (site.adds_unknown) {
    options_.dense_target = false;
    options_.bias = false;
  }
  if (options_.bias && !site.constants.empty()) constant_ = &site.constants.back();
  const at::Tensor size = site.scale.abs();
  usable_ = size > kSmallestScale * size.max();
  if (constant_ != nullptr) usable_ = usable_.logical_and(constant_->scale.abs() > 0);
  divisor_ = at::where(usable_, site.scale, at::ones_like(site.scale));
  collect(nullptr);
  const at::Tensor diagonal = problem().hessian.diagonal(0, 1, 2);
  lambda_ = options_.damping * diagonal.mean().item<double>();
}

/// Of the first batch: the variance of what the layer adds over that of the sum behind the Add.
double LayerFit::own_part() const {
  if (site_.skip_slot < 0) return 1;
  const at::Tensor sum = site_rows(site_, networks_.dense_value(0, site_.target_slot).to(at::kCPU)).to(at::kDouble);
  const at::Tensor energy = moments_.target_squares - moments_.target_sum.square() / moments_.count;
  const double own = (site_.scale.square() * energy).sum().item<double>() / moments_.count;
  const double all = sum.var(1, false).sum().item<double>();
  return all > 0 ? std::min(1.0, own / all) : 1.0;
}

Parameter& LayerFit::parameter(int id) {
  for (Parameter& one : networks_.pruned().parameters()) {
    if (one.tensor_id == id) return one;
  }
  invariant(false, "a site's tensors are parameters");
  __builtin_unreachable();
}

at::Tensor LayerFit::target_rows(size_t batch, int64_t first, int64_t count, const at::Tensor& columns, const at::Tensor* weights) const {
  const bool whole = site_.kind == LinearSite::Kind::Product;
  const auto rows_of = [&](const at::Tensor& value) {
    const at::Tensor part = whole ? value : value.narrow(0, first, count);
    return site_rows(site_, part.to(at::kCPU)).to(columns.scalar_type());
  };
  at::Tensor target = rows_of(networks_.dense_value(batch, site_.target_slot));
  at::Tensor skip;
  if (site_.skip_slot >= 0) {
    const at::Tensor value = networks_.pruned_value(batch, site_.skip_slot);
    const at::Tensor full = networks_.dense_value(batch, site_.target_slot);
    skip = rows_of(value.expand_as(full));
  }
  if (weights != nullptr) {  // what lies below zero on both sides of Relu is less of an error, or none
    const at::Tensor factors = weights->to(columns.scalar_type()).view({site_.groups, -1, site_.columns});
    at::Tensor now = at::bmm(factors, columns).view({site_.rows, -1});
    now = (now + column_of(shift_for(*weights), now)) * column_of(site_.scale, now) + column_of(site_.shift, now);
    if (skip.defined()) now = now + skip;
    const at::Tensor below = now.clamp_max(0);
    target = at::where(target > 0, target, below + (1 - options_.relu) * (target - below));
  }
  if (skip.defined()) target = target - skip;
  return (target - column_of(site_.shift, target)) / column_of(divisor_, target);
}

void LayerFit::collect(const at::Tensor* weights) {
  const bool first_pass = weights == nullptr;
  if (!first_pass) {
    moments_.cross = at::zeros_like(dense_weights_);
    moments_.target_sum.zero_();
    moments_.target_squares.zero_();
  } else {
    moments_ = Moments();
  }
  const Step& step = networks_.pruned().plan().steps[site_.step];
  for (size_t batch = 0; batch < batches_; ++batch) {
    check_interrupt();
    if (first_pass && options_.dense_target && collect_at_once(batch)) continue;
    const at::Tensor input = networks_.pruned_value(batch, site_.input_slot);
    std::vector<int64_t> shape;
    TargetRows target;
    if (options_.dense_target) {
      shape = networks_.dense_value(batch, site_.target_slot).sizes().vec();
      target = [&](int64_t first, int64_t count, const at::Tensor& columns) { return target_rows(batch, first, count, columns, weights); };
    } else {
      shape = output_shape(site_, step, input);
    }
    add_moments(site_, step, input, shape, target, first_pass, moments_);
  }
  complete_rows();
}

/// Rows without a target of their own get what the dense weights make of the pruned input.
void LayerFit::complete_rows() {
  const at::Tensor own = at::bmm(dense_weights_.view({site_.groups, -1, site_.columns}), moments_.gram).view_as(dense_weights_);
  const at::Tensor mine = options_.dense_target ? usable_ : at::zeros_like(usable_);
  moments_.cross = at::where(mine.unsqueeze(1), moments_.cross, own);
  const at::Tensor sums = moments_.input_sum.repeat_interleave(site_.rows / site_.groups, 0);
  moments_.target_sum = at::where(mine, moments_.target_sum, (dense_weights_ * sums).sum(1));
  moments_.target_squares = at::where(mine, moments_.target_squares, (dense_weights_ * own).sum(1));
}

at::Tensor LayerFit::shift_for(const at::Tensor& weights) const {
  if (constant_ == nullptr) return at::zeros_like(divisor_);
  const at::Tensor sums = moments_.input_sum.repeat_interleave(site_.rows / site_.groups, 0);
  const at::Tensor shift = (moments_.target_sum - (weights * sums).sum(1)) / moments_.count;
  return at::where(usable_, shift, at::zeros_like(shift));
}

at::Tensor LayerFit::regularised_cross() const {
  at::Tensor cross = moments_.cross + lambda_ * dense_weights_;
  if (constant_ != nullptr) {
    const at::Tensor means = moments_.input_sum.repeat_interleave(site_.rows / site_.groups, 0) / moments_.count;
    cross = cross - moments_.target_sum.unsqueeze(1) * means;
  }
  return cross;
}

LayerProblem LayerFit::problem() {
  LayerProblem problem;
  problem.site = &site_;
  problem.weights = dense_weights_;
  problem.row_scale = at::where(usable_, site_.scale.abs(), at::zeros_like(site_.scale) + kSmallestScale * site_.scale.abs().max());
  at::Tensor hessian = moments_.gram;
  at::Tensor energy = moments_.target_squares;
  if (constant_ != nullptr) {
    hessian = hessian - moments_.input_sum.unsqueeze(2) * moments_.input_sum.unsqueeze(1) / moments_.count;
    energy = energy - moments_.target_sum.square() / moments_.count;
  }
  problem.hessian = hessian + lambda_ * at::eye(site_.columns, at::kDouble);
  // An input that is always zero (or constant, when the bias is fitted) says nothing of its weight: keep it solvable.
  const at::Tensor diagonal = problem.hessian.diagonal(0, 1, 2);
  diagonal.add_(at::where(diagonal <= 0, at::ones_like(diagonal), at::zeros_like(diagonal)));
  problem.cross = regularised_cross();
  problem.target_energy = (problem.row_scale.square() * energy).sum().item<double>();
  if (options_.relu > 0 && site_.relu && options_.dense_target) {
    problem.refresh = [this](const at::Tensor& weights, const at::Tensor& kept) {
      if (site_.kind == LinearSite::Kind::Conv) {
        refresh_convolution(weights, kept);
      } else {
        collect(&weights);
      }
      return regularised_cross();
    };
  }
  return problem;
}

double LayerFit::relative_error(const at::Tensor& weights) const {
  LayerProblem plain;
  plain.row_scale = at::where(usable_, site_.scale.abs(), at::zeros_like(site_.scale));
  plain.hessian = moments_.gram;
  plain.cross = moments_.cross;
  at::Tensor energy = moments_.target_squares;
  if (constant_ != nullptr) {
    const at::Tensor means = moments_.input_sum.repeat_interleave(site_.rows / site_.groups, 0) / moments_.count;
    plain.hessian = plain.hessian - moments_.input_sum.unsqueeze(2) * moments_.input_sum.unsqueeze(1) / moments_.count;
    plain.cross = plain.cross - moments_.target_sum.unsqueeze(1) * means;
    energy = energy - moments_.target_sum.square() / moments_.count;
  }
  const double total = (plain.row_scale.square() * energy).sum().item<double>();
  return total > 0 ? std::max(0.0, 1 + quadratic_objective(plain, weights) / total) : 0;
}

std::vector<int> LayerFit::write_(const at::Tensor& weights) {
  Parameter& own = parameter(site_.tensor.id);
  own.tensor.copy_(from_matrix(site_, weights));
  std::vector<int> written{site_.tensor.id};
  if (constant_ == nullptr) return written;
  Parameter& bias = parameter(constant_->id);
  const at::Tensor change = shift_for(weights) * site_.scale / constant_->scale;
  bias.tensor.add_(at::where(usable_, change, at::zeros_like(change)).view(bias.tensor.sizes()).to(bias.tensor.options()));
  written.push_back(constant_->id);
  return written;
}

}  // namespace sparsify
