// SynFlow: the share of all paths from input to output that runs through a weight. Needs no data.
// Tanaka, Kunin, Yamins & Ganguli 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow",
// arXiv:2006.05467, eq. 2 and algorithm 1.
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class SynFlow final : public Criterion {
 public:
  explicit SynFlow(const Options& options)
      : rounds_(options.integer("rounds", 100, {.min = 1, .max = 1000}, "score and prune that often, at densities rho^(k/rounds)")) {}

  Evidence needs() const override { return Evidence::SynapticFlow; }
  int64_t rounds() const override { return rounds_; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override {
    return layer.scale_id >= 0 ? "SynFlow computes in float64, this weight is quantised" : "";
  }

  /// |theta| dR/d|theta| / R: sums to 1 over every layer that all paths cross
  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.synaptic_flow, layer.count(), layer, "synaptic flow");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(evidence.synaptic_flow[i]);
  }

 private:
  int64_t rounds_;
};

const Register<Criterion, SynFlow> entry{"synflow", "share of the paths from input to output; needs no data, 100 rounds (Tanaka et al. 2020, arXiv:2006.05467)"};

}  // namespace
}  // namespace sparsify
