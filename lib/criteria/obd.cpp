// Optimal Brain Damage: the second-order change of the loss with a diagonal Hessian, H_qq w_q^2 / 2.
// LeCun, Denker & Solla 1990, "Optimal Brain Damage", NIPS 2, eq. 5. H_qq is Hutchinson's estimate, or the mean squared gradient
// of single samples. Where the estimate is negative, removing the weight lowers the loss: the score keeps its sign.
#include "criteria/channel_scores.h"
#include "mask/score_sign.h"

namespace sparsify {
namespace {

class Obd final : public Criterion, public SignedScores {
 public:
  explicit Obd(const Options& options)
      : fisher_(options.choice("curvature", "fisher", {"fisher", "hessian"}, "fisher: mean squared gradient of single samples; hessian: Hutchinson's estimate") == "fisher"),
        collection_(read_loss_options(options)) {
    const int64_t probes = options.integer("probes", 4, {.min = 1, .max = 1000}, "hessian: random vectors a batch");
    if (!fisher_) collection_.probes = probes;
  }

  Evidence needs() const override { return fisher_ ? Evidence::Fisher : Evidence::HessianDiagonal; }
  EvidenceOptions evidence_options() const override { return collection_; }
  bool may_be_negative() const override { return !fisher_; }

  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    const std::vector<double>& diagonal = fisher_ ? evidence.fisher : evidence.hessian_diagonal;
    require_evidence(diagonal, layer.count(), layer, "curvature");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(0.5 * diagonal[i] * weights[i] * weights[i]);
  }

 private:
  bool fisher_;
  EvidenceOptions collection_;
};

const Register<Criterion, Obd> entry{"obd", "Optimal Brain Damage, H_qq w^2 / 2; needs data (LeCun et al. 1990)"};

}  // namespace
}  // namespace sparsify
