#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "evidence/collector.h"
#include "evidence/gatherer.h"

namespace sparsify {

bool GatherTask::any_wants(Evidence kind) const {
  for (size_t i = 0; i < size(); ++i) {
    if (wants(i, kind)) return true;
  }
  return false;
}

std::vector<double> to_doubles(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

at::Tensor real_samples(const at::Tensor& value, const Batch& batch) {
  const int64_t size = batch.inputs.empty() || batch.inputs[0].shape().empty() ? batch.count : batch.inputs[0].shape()[0];
  return value.dim() > 0 && value.size(0) == size && size > batch.count ? value.narrow(0, 0, batch.count) : value;
}

namespace {

void require_finite_evidence(const PrunableTensor& layer, const LayerEvidence& evidence) {
  for (const auto member : {&LayerEvidence::input_squares, &LayerEvidence::gradient, &LayerEvidence::product_magnitudes, &LayerEvidence::product_squares,
                            &LayerEvidence::channel_squares, &LayerEvidence::fisher, &LayerEvidence::inverse_fisher, &LayerEvidence::hessian_gradient,
                            &LayerEvidence::hessian_diagonal, &LayerEvidence::synaptic_flow, &LayerEvidence::mean_magnitude, &LayerEvidence::variance}) {
    const std::vector<double>& values = evidence.*member;
    if (std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) continue;
    throw ResourceError{{.what = "running the model on the calibration data gives numbers that are not finite",
                         .where = layer.layer,
                         .fix = "check the data's scale, mean and std; a float16 model may overflow in its gradients: use a float32 export"}};
  }
}

class LibTorchCollector final : public EvidenceCollector {
 public:
  explicit LibTorchCollector(const Options&) {}

  void open(const CollectorTask& task) override {
    task_ = task;
    surroundings_ = find_surroundings(*task.file, task.layers);
    program_ = Program::build(*task.file, {.device = task.device == "auto" ? "cpu" : task.device});
    if (task.threads > 0) at::set_num_threads(task.threads);
    weights_ = std::make_unique<ModelWeights>(*program_, task_, surroundings_);
    loss_ = Loss(task.options);
    gather_.task = &task_;
    gather_.surroundings = &surroundings_;
    gather_.free_batch = true;
    for (const ValueInfo& input : program_->inputs()) {
      const bool free = input.shape && !input.shape->empty() && input.shape->front().size < 0;
      gather_.free_batch = gather_.free_batch && free;
    }
  }

  CollectedEvidence collect(const DataSource* data, const std::vector<BitMask>& masks) override {
    CollectedEvidence found;
    found.layers.resize(task_.layers.size());
    gather_.warnings = &found.warnings;
    weights_->set_masks(masks);
    if (gather_.any_wants(Evidence::SynapticFlow)) {
      collect_synaptic_flow(gather_, *program_, *weights_, found.layers);
      gather_.check_flow = false;
    }
    if (gather_.any_wants(kFromData)) {
      invariant(data != nullptr, "evidence from data needs data");
      run_passes(*data, found);
    }
    if (gather_.any_wants(kFromGradients)) warn_of_cuts(found.warnings);
    for (size_t i = 0; i < found.layers.size(); ++i) {
      found.layers[i].seed = task_.seed;
      require_finite_evidence(task_.layers[i], found.layers[i]);
    }
    return found;
  }

 private:
  std::vector<std::unique_ptr<Gatherer>> make_gatherers() const {
    std::vector<std::unique_ptr<Gatherer>> gatherers;
    if (gather_.any_wants(Evidence::InputSquares)) gatherers.push_back(gather_input_squares(gather_));
    if (gather_.any_wants(Evidence::Activations | Evidence::FeatureRank)) gatherers.push_back(gather_activations(gather_));
    if (gather_.any_wants(Evidence::Gradients | Evidence::GradientProducts | Evidence::ChannelProducts)) gatherers.push_back(gather_first_order(gather_));
    if (gather_.any_wants(Evidence::Fisher | Evidence::InverseFisher)) gatherers.push_back(gather_sample_gradients(gather_));
    if (gather_.any_wants(Evidence::HessianDiagonal)) gatherers.push_back(gather_hessian_diagonal(gather_));
    if (gather_.any_wants(Evidence::GradientFlow)) gatherers.push_back(gather_gradient_flow(gather_));
    return gatherers;
  }

  void run_passes(const DataSource& data, CollectedEvidence& found) {
    gather_.gradients = gather_.any_wants(Evidence::InverseFisher) ? count_gradients(data) : 0;
    const std::vector<std::unique_ptr<Gatherer>> gatherers = make_gatherers();
    int passes = 1;
    for (const auto& gatherer : gatherers) passes = std::max(passes, gatherer->passes());
    int64_t samples = 0;
    int64_t batches = 0;
    for (int pass = 0; pass < passes; ++pass) {
      std::vector<Gatherer*> active;
      for (const auto& gatherer : gatherers) {
        if (pass < gatherer->passes()) active.push_back(gatherer.get());
      }
      const RunOptions options = run_options(active);
      const bool forward_wanted = std::any_of(active.begin(), active.end(), [](const Gatherer* g) { return g->wants_forward(); });
      Progress progress(pass == 0 ? "collecting evidence" : "collecting evidence, second pass", data.size());
      const std::unique_ptr<DataSource::Stream> stream = data.stream({});
      int64_t index = 0;
      while (const auto batch = stream->next()) {
        check_interrupt();
        std::vector<Value> inputs;
        for (const HostTensor& input : batch->inputs) inputs.push_back(from_host(input));
        RunResult result;
        if (forward_wanted) result = program_->run(inputs, options);
        const Forward forward{*batch, inputs, result, *program_, *weights_, loss_, index++, task_.bfloat16};
        for (Gatherer* gatherer : active) gatherer->see(pass, forward);
        if (pass == 0) samples += batch->count;
        progress.advance(batch->count);
      }
      batches = index;
    }
    if (samples == 0) {
      throw ResourceError{{.what = "the calibration data has no samples", .where = data.describe(), .fix = "give at least one batch"}};
    }
    for (const auto& gatherer : gatherers) gatherer->finish(found.layers);
    for (LayerEvidence& layer : found.layers) {
      layer.samples = samples;
      layer.batches = batches;
    }
  }

  RunOptions run_options(const std::vector<Gatherer*>& active) const {
    RunOptions options;
    options.bfloat16 = task_.bfloat16;
    std::set<std::string> taps;
    for (const Gatherer* gatherer : active) {
      for (const std::string& tap : gatherer->taps()) taps.insert(tap);
      options.gradients = options.gradients || (gatherer->differentiates() && gatherer->wants_forward());
    }
    if (options.gradients) taps.insert(weights_->taps().begin(), weights_->taps().end());
    options.taps.assign(taps.begin(), taps.end());
    return options;
  }

  /// WoodFisher's N: batches are cut into groups of samples_a_gradient, the last of each may be smaller.
  int64_t count_gradients(const DataSource& data) const {
    const int64_t together = task_.options.samples_a_gradient;
    int64_t gradients = 0;
    const auto stream = data.stream({});
    while (const auto batch = stream->next()) gradients += (batch->count + together - 1) / together;
    return gradients;
  }

  void warn_of_cuts(std::vector<std::string>& warnings) const {
    constexpr size_t kShown = 5;
    const std::vector<GradientCut> cuts = program_->gradient_cuts();
    for (size_t i = 0; i < std::min(cuts.size(), kShown); ++i) {
      warnings.push_back(fmt::format("the gradient ends at node \"{}\" ({}: {}): what only acts through it counts for nothing", cuts[i].node, cuts[i].op, cuts[i].reason));
    }
    if (cuts.size() > kShown) warnings.push_back(fmt::format("the gradient ends at {} more nodes: `sparsify ops MODEL` lists them", cuts.size() - kShown));
  }

  CollectorTask task_;
  std::vector<LayerSurroundings> surroundings_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<ModelWeights> weights_;
  Loss loss_;
  GatherTask gather_;
};

const Register<EvidenceCollector, LibTorchCollector> entry{"libtorch", "runs the model on LibTorch"};

}  // namespace
}  // namespace sparsify
