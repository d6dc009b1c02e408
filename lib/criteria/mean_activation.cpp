// Mean activation: a channel that is loud on average matters. Every weight has its output channel's score.
// Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference", arXiv:1611.06440, section 2.2.
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class MeanActivation final : public Criterion {
 public:
  explicit MeanActivation(const Options&) {}

  Evidence needs() const override { return Evidence::Activations; }
  bool is_per_channel() const override { return true; }
  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override { return refuse_without_channels(layer); }

  /// mean |o| behind the BatchNormalization, bias and activation that follow the layer
  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.mean_magnitude, layer.output_channels(), layer, "activations");
    spread(layer, evidence.mean_magnitude, scores);
  }
};

const Register<Criterion, MeanActivation> entry{"mean_activation", "mean |activation| of the output channel; needs data (Molchanov et al. 2017, arXiv:1611.06440)"};

}  // namespace
}  // namespace sparsify
