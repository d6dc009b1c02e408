// Products with the Hessian of the loss, differentiating twice or by central differences: Hutchinson's estimate of its
// diagonal, E[v (.) Hv] for random signs v, and GraSP's Hg.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include "base/rng.h"
#include "evidence/gatherer.h"

namespace sparsify {
namespace {

/// Length of a finite step, relative to the weights' own.
constexpr double kStep = 1e-2;

class HessianProduct {
 public:
  explicit HessianProduct(const GatherTask& task) : task_(task), differences_(task.task->options.finite_differences) {}

  /// H v of the batch's mean loss; undefined where no gradient arrives.
  std::vector<at::Tensor> of(const Forward& forward, const std::vector<at::Tensor>& v, const std::vector<bool>& wanted) {
    if (!differences_) {
      try {
        return twice(forward, v, wanted);
      } catch (const c10::Error& e) {
        const std::string message = e.what_without_backtrace();
        task_.warnings->push_back("an operator cannot be differentiated twice (" + message.substr(0, message.find('\n')) +
                                  "): Hessian products are taken by finite differences");
        differences_ = true;
      }
    }
    return by_differences(forward, v, wanted);
  }

 private:
  static std::vector<at::Tensor> twice(const Forward& forward, const std::vector<at::Tensor>& v, const std::vector<bool>& wanted) {
    const at::Tensor loss = forward.sample_losses().mean();
    const std::vector<at::Tensor> gradients = forward.weights.gradients(loss, forward.result, wanted, /*create_graph=*/true);
    at::Tensor along;
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined() || !v[i].defined()) continue;
      const at::Tensor part = (gradients[i] * v[i].to(gradients[i].scalar_type())).sum();
      along = along.defined() ? along + part : part;
    }
    std::vector<at::Tensor> products(gradients.size());
    if (along.defined()) products = forward.weights.gradients(along, forward.result, wanted);
    for (size_t i = 0; i < gradients.size(); ++i) {  // a loss that is linear in a weight has a gradient and no curvature
      if (gradients[i].defined() && !products[i].defined()) products[i] = at::zeros_like(gradients[i]).detach();
    }
    return products;
  }

  static std::vector<at::Tensor> by_differences(const Forward& forward, const std::vector<at::Tensor>& v, const std::vector<bool>& wanted) {
    double weights = 0;
    double directions = 0;
    for (size_t i = 0; i < v.size(); ++i) {
      if (!v[i].defined() || !forward.weights.can_move(i)) continue;
      weights += forward.weights.value(i, forward.result).to(at::kDouble).square().sum().item<double>();
      directions += v[i].to(at::kDouble).square().sum().item<double>();
    }
    const double step = directions > 0 ? kStep * std::sqrt(weights / directions) : kStep;
    const auto gradients_at = [&](double signed_step) {
      std::vector<at::Tensor> gradients;
      forward.weights.with_moved(v, signed_step, [&] {
        const RunResult result = forward.program.run(forward.inputs, {.gradients = true, .taps = forward.weights.taps()});
        gradients = forward.weights.gradients(forward.loss.of(result, forward.batch).mean(), result, wanted);
      });
      return gradients;
    };
    const std::vector<at::Tensor> ahead = gradients_at(step);
    const std::vector<at::Tensor> behind = gradients_at(-step);
    std::vector<at::Tensor> products(v.size());
    for (size_t i = 0; i < v.size(); ++i) {
      if (ahead[i].defined() && behind[i].defined()) products[i] = (ahead[i].to(at::kDouble) - behind[i].to(at::kDouble)) / (2 * step);
    }
    return products;
  }

  GatherTask task_;
  bool differences_;
};

/// Sums over the batches, weighted by their samples.
class WeightedSums {
 public:
  explicit WeightedSums(size_t layers) : sums_(layers) {}

  void add(size_t i, const at::Tensor& part, double weight) {
    if (!sums_[i].defined()) sums_[i] = at::zeros(part.sizes(), part.options().dtype(at::kDouble));
    sums_[i].add_(part.to(at::kDouble), weight);
  }
  const std::vector<at::Tensor>& all() const { return sums_; }

 private:
  std::vector<at::Tensor> sums_;
};

std::vector<bool> layers_that_want(const GatherTask& task, Evidence kind) {
  std::vector<bool> wanted(task.size());
  for (size_t i = 0; i < task.size(); ++i) wanted[i] = task.wants(i, kind);
  return wanted;
}

class HessianDiagonal final : public Gatherer {
 public:
  explicit HessianDiagonal(const GatherTask& task)
      : task_(task), wanted_(layers_that_want(task, Evidence::HessianDiagonal)), product_(task), sums_(task.size()) {}

  bool differentiates() const override { return true; }

  void see(int, const Forward& forward) override {
    const int64_t probes = task_.task->options.probes;
    for (int64_t probe = 0; probe < probes; ++probe) {
      std::vector<at::Tensor> signs(task_.size());
      for (size_t i = 0; i < task_.size(); ++i) {
        if (wanted_[i]) signs[i] = random_signs(i, forward.index * probes + probe).to(forward.result.outputs[0].tensor().device());
      }
      const std::vector<at::Tensor> products = product_.of(forward, signs, wanted_);
      const at::NoGradGuard no_graph;
      for (size_t i = 0; i < task_.size(); ++i) {
        if (products[i].defined()) sums_.add(i, products[i].to(at::kDouble) * signs[i], static_cast<double>(forward.batch.count) / static_cast<double>(probes));
      }
    }
    samples_ += forward.batch.count;
  }

  void finish(std::vector<LayerEvidence>& layers) override {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!wanted_[i]) continue;
      const at::Tensor& sum = sums_.all()[i];
      if (sum.defined()) layers[i].hessian_diagonal = to_doubles(sum / static_cast<double>(samples_));
      else layers[i].missing = kNoGradient;
    }
  }

 private:
  /// Named by the run's seed, the initializer and the draw: the same in any order of layers.
  at::Tensor random_signs(size_t i, int64_t draw) const {
    const PrunableTensor& layer = task_.layer(i);
    const Rng rng(task_.task->seed, layer.initializer + "/hutchinson");
    const int64_t count = layer.count();
    at::Tensor signs = at::empty(layer.shape, at::TensorOptions(at::kDouble));
    double* out = signs.data_ptr<double>();
    const uint64_t first = static_cast<uint64_t>(draw) * static_cast<uint64_t>((count + 63) / 64);
    for (int64_t k = 0; k < count; k += 64) {
      uint64_t bits = rng.bits_at(first + static_cast<uint64_t>(k / 64));
      for (int64_t j = k; j < std::min(k + 64, count); ++j, bits >>= 1) out[j] = (bits & 1U) != 0 ? 1 : -1;
    }
    return signs;
  }

  GatherTask task_;
  std::vector<bool> wanted_;
  HessianProduct product_;
  WeightedSums sums_;
  int64_t samples_ = 0;
};

/// The first pass finds the gradient of all data, the second multiplies it with every batch's Hessian.
class GradientFlow final : public Gatherer {
 public:
  explicit GradientFlow(const GatherTask& task)
      : task_(task), wanted_(layers_that_want(task, Evidence::GradientFlow)), product_(task), gradient_(task.size()), sums_(task.size()) {}

  bool differentiates() const override { return true; }
  int passes() const override { return 2; }

  void see(int pass, const Forward& forward) override {
    const auto count = static_cast<double>(forward.batch.count);
    if (pass == 0) {
      const auto gradients = forward.weights.gradients(forward.sample_losses().mean(), forward.result, wanted_);
      const at::NoGradGuard no_graph;
      for (size_t i = 0; i < gradients.size(); ++i) {
        if (gradients[i].defined()) gradient_.add(i, gradients[i], count);
      }
      samples_ += forward.batch.count;
      return;
    }
    std::vector<at::Tensor> mean;
    for (const at::Tensor& sum : gradient_.all()) mean.push_back(sum.defined() ? sum / static_cast<double>(samples_) : sum);
    const std::vector<at::Tensor> products = product_.of(forward, mean, wanted_);
    const at::NoGradGuard no_graph;
    for (size_t i = 0; i < products.size(); ++i) {
      if (products[i].defined()) sums_.add(i, products[i], count);
    }
  }

  void finish(std::vector<LayerEvidence>& layers) override {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!wanted_[i]) continue;
      const at::Tensor& sum = sums_.all()[i];
      if (sum.defined()) layers[i].hessian_gradient = to_doubles(sum / static_cast<double>(samples_));
      else layers[i].missing = kNoGradient;
    }
  }

 private:
  GatherTask task_;
  std::vector<bool> wanted_;
  HessianProduct product_;
  WeightedSums gradient_;
  WeightedSums sums_;
  int64_t samples_ = 0;
};

}  // namespace

std::unique_ptr<Gatherer> gather_hessian_diagonal(const GatherTask& task) { return std::make_unique<HessianDiagonal>(task); }
std::unique_ptr<Gatherer> gather_gradient_flow(const GatherTask& task) { return std::make_unique<GradientFlow>(task); }

}  // namespace sparsify
