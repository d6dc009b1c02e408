// Gradients of single samples (or of a few): the diagonal Fisher matrix and WoodFisher's inverse. The square of a batch's mean
// gradient would be another, 1/B times smaller quantity.
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include "evidence/gatherer.h"
#include "evidence/inverse_fisher.h"

namespace sparsify {
namespace {

/// Rows [first, first + count) of a host tensor's first axis.
HostTensor rows_of(const HostTensor& tensor, int64_t first, int64_t count) {
  Shape shape = tensor.shape();
  if (shape.empty() || shape[0] < first + count) return tensor;
  const size_t row = tensor.bytes().size() / static_cast<size_t>(shape[0]);
  shape[0] = count;
  return HostTensor(tensor.type(), shape, tensor.bytes().subspan(static_cast<size_t>(first) * row, static_cast<size_t>(count) * row),
                    std::make_shared<HostTensor>(tensor));
}

class SampleGradients final : public Gatherer {
 public:
  explicit SampleGradients(const GatherTask& task)
      : task_(task), wanted_(task.size()), squares_(task.size()), inverses_(task.size()), seen_(task.size(), false) {
    const EvidenceOptions& options = task.task->options;
    for (size_t i = 0; i < task.size(); ++i) {
      wanted_[i] = task.wants(i, Evidence::Fisher | Evidence::InverseFisher);
      if (task.wants(i, Evidence::InverseFisher)) {
        inverses_[i] = std::make_unique<InverseFisher>(task.layer(i), options.block, options.damping, task.gradients);
      }
    }
  }

  bool differentiates() const override { return true; }
  bool wants_forward() const override { return !task_.free_batch; }

  void see(int, const Forward& forward) override {
    const int64_t together = task_.task->options.samples_a_gradient;
    const at::Tensor losses = task_.free_batch ? at::Tensor() : forward.sample_losses();
    for (int64_t first = 0; first < forward.batch.count; first += together) {
      const int64_t count = std::min(together, forward.batch.count - first);
      if (losses.defined()) {
        add(forward, forward.weights.gradients(losses.narrow(0, first, count).mean(), forward.result, wanted_));
        continue;
      }
      Batch batch;
      batch.count = count;
      for (const HostTensor& input : forward.batch.inputs) batch.inputs.push_back(rows_of(input, first, count));
      if (forward.batch.labels) batch.labels = rows_of(*forward.batch.labels, first, count);
      std::vector<Value> inputs;
      for (const HostTensor& input : batch.inputs) inputs.push_back(from_host(input));
      const RunResult result = forward.program.run(inputs, {.gradients = true, .bfloat16 = forward.bfloat16, .taps = forward.weights.taps()});
      add(forward, forward.weights.gradients(forward.loss.of(result, batch).mean(), result, wanted_));
    }
  }

  void finish(std::vector<LayerEvidence>& layers) override {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!wanted_[i]) continue;
      if (!seen_[i]) {
        layers[i].missing = kNoGradient;
        continue;
      }
      if (squares_[i].defined()) layers[i].fisher = to_doubles(squares_[i] / static_cast<double>(gradients_));
      if (inverses_[i]) layers[i].inverse_fisher = inverses_[i]->diagonal();
    }
  }

 private:
  void add(const Forward&, const std::vector<at::Tensor>& gradients) {
    const at::NoGradGuard no_graph;
    ++gradients_;
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) continue;
      seen_[i] = true;
      const at::Tensor gradient = gradients[i].to(at::kCPU, at::kDouble).contiguous();
      if (task_.wants(i, Evidence::Fisher)) {
        if (!squares_[i].defined()) squares_[i] = at::zeros(gradient.sizes(), gradient.options());
        squares_[i].addcmul_(gradient, gradient);
      }
      if (inverses_[i]) inverses_[i]->add({gradient.const_data_ptr<double>(), static_cast<size_t>(gradient.numel())});
    }
  }

  GatherTask task_;
  std::vector<bool> wanted_;
  std::vector<at::Tensor> squares_;
  std::vector<std::unique_ptr<InverseFisher>> inverses_;
  std::vector<bool> seen_;
  int64_t gradients_ = 0;
};

}  // namespace

std::unique_ptr<Gatherer> gather_sample_gradients(const GatherTask& task) { return std::make_unique<SampleGradients>(task); }

}  // namespace sparsify
