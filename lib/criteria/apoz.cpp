// APoZ: a channel that is mostly 0 behind its ReLU matters little. The paper removes the highest share of zeros; the score is
// one minus it. Every weight has its output channel's score.
// Hu et al. 2016, "Network Trimming", arXiv:1607.03250, eq. 1.
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class Apoz final : public Criterion {
 public:
  explicit Apoz(const Options&) {}

  Evidence needs() const override { return Evidence::Activations; }
  bool is_per_channel() const override { return true; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings& surroundings) const override {
    const std::string activation = surroundings.activation();
    if (activation != "Relu" && activation != "Clip" && activation != "ThresholdedRelu") {
      return "no ReLU follows it directly, so that its share of zeros says nothing: compare mean_activation";
    }
    return refuse_without_channels(layer);
  }

  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.zero_fraction, layer.output_channels(), layer, "activations");
    std::vector<double> alive;
    for (const double zeros : evidence.zero_fraction) alive.push_back(1 - zeros);
    spread(layer, alive, scores);
  }
};

const Register<Criterion, Apoz> entry{"apoz", "share of activations behind the ReLU that are not 0, by output channel; needs data (Hu et al. 2016, arXiv:1607.03250)"};

}  // namespace
}  // namespace sparsify
