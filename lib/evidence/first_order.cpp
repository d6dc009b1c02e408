// Gradients of the loss, batch by batch: what SNIP and Taylor criteria ask for.
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include "evidence/gatherer.h"

namespace sparsify {
namespace {

class FirstOrder final : public Gatherer {
 public:
  explicit FirstOrder(const GatherTask& task) : task_(task), wanted_(task.size()), sums_(task.size()) {
    for (size_t i = 0; i < task.size(); ++i) {
      wanted_[i] = task.wants(i, Evidence::Gradients | Evidence::GradientProducts | Evidence::ChannelProducts);
    }
  }

  bool differentiates() const override { return true; }

  void see(int, const Forward& forward) override {
    const at::Tensor loss = forward.sample_losses().mean();
    const std::vector<at::Tensor> gradients = forward.weights.gradients(loss, forward.result, wanted_);
    const at::NoGradGuard no_graph;
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) continue;
      Sums& sums = sums_[i];
      const at::Tensor gradient = gradients[i].to(at::kDouble);
      if (task_.wants(i, Evidence::Gradients)) add(sums.gradient, gradient * static_cast<double>(forward.batch.count));
      if (!task_.wants(i, Evidence::GradientProducts | Evidence::ChannelProducts)) continue;
      const at::Tensor product = gradient * forward.weights.value(i, forward.result).to(at::kDouble);
      if (task_.wants(i, Evidence::GradientProducts)) {
        add(sums.magnitudes, product.abs());
        add(sums.squares, product.square());
      }
      const int axis = task_.layer(i).output_axis;
      if (task_.wants(i, Evidence::ChannelProducts) && axis >= 0) {
        add(sums.channels, product.movedim(axis, 0).reshape({product.size(axis), -1}).sum(1).square());
      }
    }
    samples_ += forward.batch.count;
    ++batches_;
  }

  void finish(std::vector<LayerEvidence>& layers) override {
    const auto write = [](std::vector<double>& out, const at::Tensor& sum, int64_t by) {
      if (sum.defined()) out = to_doubles(sum / static_cast<double>(by));
    };
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!wanted_[i]) continue;
      const Sums& sums = sums_[i];
      if (!sums.gradient.defined() && !sums.magnitudes.defined() && !sums.channels.defined()) {
        layers[i].missing = kNoGradient;
        continue;
      }
      write(layers[i].gradient, sums.gradient, samples_);
      write(layers[i].product_magnitudes, sums.magnitudes, batches_);
      write(layers[i].product_squares, sums.squares, batches_);
      write(layers[i].channel_squares, sums.channels, batches_);
    }
  }

 private:
  struct Sums {
    at::Tensor gradient, magnitudes, squares, channels;
  };

  static void add(at::Tensor& sum, const at::Tensor& part) {
    if (!sum.defined()) sum = at::zeros_like(part);
    sum.add_(part);
  }

  GatherTask task_;
  std::vector<bool> wanted_;
  std::vector<Sums> sums_;
  int64_t samples_ = 0;
  int64_t batches_ = 0;
};

}  // namespace

std::unique_ptr<Gatherer> gather_first_order(const GatherTask& task) { return std::make_unique<FirstOrder>(task); }

}  // namespace sparsify
