// SNIP: how much the loss would change if a connection's gate moved: |dL/dc| at c = 1, which is |g w|.
// Lee, Ajanthan & Torr 2019, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", arXiv:1810.02340, eq. 4-6.
// The paper's denominator is one number for all weights and changes no ranking. `rounds` above 1 is iterative SNIP, with
// pruned_may_return FORCE (de Jorge et al. 2021, arXiv:2006.09081). On a trained network this is unstructured Taylor.
#include <cmath>

#include "base/error.h"
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class Snip final : public Criterion {
 public:
  explicit Snip(const Options& options)
      : signed_(options.choice("accumulate", "signed", {"signed", "abs"},
                               "signed: gradients are summed over batches before |.|; abs: |g w| of each batch is summed") == "signed"),
        rounds_(options.integer("rounds", 1, {.min = 1, .max = 1000}, "above 1: iterative, at densities rho^(k/rounds)")),
        may_return_(options.flag("pruned_may_return", false, "FORCE: a weight that an earlier round pruned is scored by its stored value")),
        collection_(read_loss_options(options)) {
    if (may_return_ && !signed_) {
      throw ConfigError{{.what = "pruned_may_return needs gradients of pruned weights, which accumulate: abs does not keep",
                         .where = options.where("pruned_may_return"),
                         .fix = "use accumulate: signed"}};
    }
  }

  Evidence needs() const override { return signed_ ? Evidence::Gradients : Evidence::GradientProducts; }
  EvidenceOptions evidence_options() const override { return collection_; }
  int64_t rounds() const override { return rounds_; }
  bool pruned_may_return() const override { return may_return_; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override {
    return rounds_ > 1 && layer.scale_id >= 0 ? "several rounds need float weights, this one is quantised" : "";
  }

  /// signed: |w * mean g|; abs: mean over batches of |g w|
  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    const std::vector<double>& found = signed_ ? evidence.gradient : evidence.product_magnitudes;
    require_evidence(found, layer.count(), layer, "gradients");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(signed_ ? std::fabs(found[i] * weights[i]) : found[i]);
  }

 private:
  bool signed_;
  int64_t rounds_;
  bool may_return_;
  EvidenceOptions collection_;
};

const Register<Criterion, Snip> entry{"snip", "|gradient x weight|; needs data with labels (Lee et al. 2019, arXiv:1810.02340)"};

}  // namespace
}  // namespace sparsify
