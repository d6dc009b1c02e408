// GraSP: keeps what the gradient's flow needs. Removing w_i changes |g|^2 by 2 S_i with S_i = -w_i (H g)_i; the paper prunes
// the largest S, so the score is -S_i = w_i (H g)_i, with its sign.
// Wang, Zhang & Grosse 2020, "Picking Winning Tickets Before Training by Preserving Gradient Flow", arXiv:2002.07376, eq. 8.
// The authors' code divides the scores of the classes by 200 before the softmax.
#include "criteria/channel_scores.h"
#include "mask/score_sign.h"

namespace sparsify {
namespace {

class Grasp final : public Criterion, public SignedScores {
 public:
  explicit Grasp(const Options& options) : collection_(read_loss_options(options)) {
    collection_.temperature = options.number("temperature", 200, {.min = 0, .max = 1e6, .above_min = true}, "class scores are divided by it");
    collection_.finite_differences = options.flag("finite_differences", false, "H g from two gradients instead of differentiating twice");
  }

  Evidence needs() const override { return Evidence::GradientFlow; }
  EvidenceOptions evidence_options() const override { return collection_; }

  /// w (H g)
  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.hessian_gradient, layer.count(), layer, "Hessian x gradient");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(weights[i] * evidence.hessian_gradient[i]);
  }

 private:
  EvidenceOptions collection_;
};

const Register<Criterion, Grasp> entry{"grasp", "weight x (Hessian x gradient): keeps the gradient's flow; needs data with labels (Wang et al. 2020, arXiv:2002.07376)"};

}  // namespace
}  // namespace sparsify
