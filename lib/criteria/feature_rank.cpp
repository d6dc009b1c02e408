// HRank: a channel whose maps have a low rank carries little. Every weight has its output channel's score.
// Lin et al. 2020, "HRank: Filter Pruning using High-Rank Feature Map", arXiv:2002.10179, eq. 5.
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class FeatureRank final : public Criterion {
 public:
  explicit FeatureRank(const Options&) {}

  Evidence needs() const override { return Evidence::Activations | Evidence::FeatureRank; }
  bool is_per_channel() const override { return true; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override {
    if (layer.shape.size() != 4) return "its outputs are no two-dimensional maps, which a rank needs";
    return refuse_without_channels(layer);
  }

  /// mean rank of a sample's map
  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.feature_rank, layer.output_channels(), layer, "ranks");
    spread(layer, evidence.feature_rank, scores);
  }
};

const Register<Criterion, FeatureRank> entry{"feature_rank", "mean rank of the output channel's maps; needs data (HRank: Lin et al. 2020, arXiv:2002.10179)"};

}  // namespace
}  // namespace sparsify
