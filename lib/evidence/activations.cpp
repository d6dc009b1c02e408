// Statistics of each output channel of a layer, behind what follows it (LayerUse::observed).
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_matrix_rank.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include "evidence/gatherer.h"

namespace sparsify {
namespace {

class Activations final : public Gatherer {
 public:
  explicit Activations(const GatherTask& task) : task_(task), sums_(task.size()) {
    for (size_t i = 0; i < task.size(); ++i) {
      if (!wanted(i)) continue;
      const LayerSurroundings& around = (*task.surroundings)[i];
      const PrunableTensor& layer = task.layer(i);
      if (around.nested || around.uses.empty()) {
        sums_[i].problem = "used inside a loop or branch, where its outputs are not seen";
      } else if (layer.output_axis < 0 || (layer.op == "ConvTranspose" && layer.groups > 1)) {
        sums_[i].problem = "its weight has no single axis of output channels";
      }
      sums_[i].total = at::zeros({5, layer.output_channels()}, at::TensorOptions(at::kDouble));
    }
  }

  std::vector<std::string> taps() const override {
    std::vector<std::string> names;
    for (size_t i = 0; i < task_.size(); ++i) {
      if (!active(i)) continue;
      for (const LayerUse& use : (*task_.surroundings)[i].uses) names.push_back(use.observed);
    }
    return names;
  }

  void see(int, const Forward& forward) override {
    const at::NoGradGuard no_graph;
    for (size_t i = 0; i < task_.size(); ++i) {
      if (!active(i)) continue;
      for (const LayerUse& use : (*task_.surroundings)[i].uses) {
        add(i, use, real_samples(forward.result.taps.at(use.observed).tensor().detach(), forward.batch));
        if (!sums_[i].problem.empty()) break;
      }
    }
  }

  void finish(std::vector<LayerEvidence>& layers) override {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!wanted(i)) continue;
      Sums& sums = sums_[i];
      LayerEvidence& layer = layers[i];
      if (!sums.problem.empty()) {
        layer.missing = sums.problem;
        continue;
      }
      const at::Tensor means = sums.total / static_cast<double>(sums.values);
      layer.activation = (*task_.surroundings)[i].activation();
      layer.mean_magnitude = to_doubles(means[0]);
      layer.zero_fraction = to_doubles(means[1]);
      layer.mean = to_doubles(means[2]);
      layer.variance = to_doubles((means[3] - means[2].square()).clamp_min(0));
      if (task_.wants(i, Evidence::FeatureRank)) layer.feature_rank = to_doubles(sums.total[4] / static_cast<double>(sums.maps));
    }
  }

 private:
  struct Sums {
    at::Tensor total;   ///< [5, channels]: |o|, o == 0, o, o^2, rank
    int64_t values = 0; ///< a channel
    int64_t maps = 0;
    std::string problem;
  };

  bool wanted(size_t i) const { return task_.wants(i, Evidence::Activations | Evidence::FeatureRank); }
  bool active(size_t i) const { return wanted(i) && sums_[i].problem.empty(); }

  void add(size_t i, const LayerUse& use, const at::Tensor& output) {
    Sums& sums = sums_[i];
    const int64_t channels = task_.layer(i).output_channels();
    if (output.dim() < 2 || output.size(use.channel_axis) != channels) {
      sums.problem = fmt::format("its output does not have {} channels where they were expected", channels);
      return;
    }
    const at::Tensor rows = output.movedim(use.channel_axis, 0).reshape({channels, -1}).to(at::kDouble);
    sums.total[0].add_(rows.abs().sum(1).to(at::kCPU));
    sums.total[1].add_(rows.eq(0).sum(1).to(at::kCPU));
    sums.total[2].add_(rows.sum(1).to(at::kCPU));
    sums.total[3].add_(rows.square().sum(1).to(at::kCPU));
    sums.values += rows.size(1);
    if (!task_.wants(i, Evidence::FeatureRank)) return;
    if (output.dim() != 4 || use.channel_axis != 1) {
      sums.problem = "its output is not a map a channel, which a rank needs";
      return;
    }
    const at::Tensor ranks = at::linalg_matrix_rank(output.to(at::kFloat));
    sums.total[4].add_(ranks.to(at::kDouble).sum(0).to(at::kCPU));
    sums.maps += output.size(0);
  }

  GatherTask task_;
  std::vector<Sums> sums_;
};

}  // namespace

std::unique_ptr<Gatherer> gather_activations(const GatherTask& task) { return std::make_unique<Activations>(task); }

}  // namespace sparsify
