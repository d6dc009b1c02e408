// Network slimming: |gamma| of the BatchNormalization behind a layer says how much of its channel is used. Every weight has its
// output channel's score. Needs no data; refuses a layer whose BatchNormalization was folded away.
// Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming", arXiv:1708.06519, section 3.
#include <cmath>

#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class BatchNormScale final : public Criterion {
 public:
  explicit BatchNormScale(const Options&) {}

  Evidence needs() const override { return Evidence::BatchNormScale; }
  bool is_per_channel() const override { return true; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings& surroundings) const override {
    if (surroundings.batch_norm_scale.empty()) return "no BatchNormalization follows it directly (was it folded?): compare mean_activation";
    return refuse_without_channels(layer);
  }

  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.batch_norm_scale, layer.output_channels(), layer, "BatchNormalization scales");
    std::vector<double> magnitudes;
    for (const double gamma : evidence.batch_norm_scale) magnitudes.push_back(std::fabs(gamma));
    spread(layer, magnitudes, scores);
  }
};

const Register<Criterion, BatchNormScale> entry{"batchnorm_scale", "|gamma| of the BatchNormalization behind the layer; needs no data (Liu et al. 2017, arXiv:1708.06519)"};

}  // namespace
}  // namespace sparsify
