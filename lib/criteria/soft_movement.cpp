// Soft movement: movement scores through a sigmoid, sigma(S), as the thresholded variant compares them with tau. The ranking is
// that of movement; sums over blocks differ, because a weight counts for at most 1.
// Sanh, Wolf & Rush 2020, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", arXiv:2005.07683, section 4.
#include <cmath>

#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class SoftMovement final : public Criterion {
 public:
  explicit SoftMovement(const Options&) {}

  Evidence needs() const override { return Evidence::Movement; }

  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.movement, layer.count(), layer, "movement");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(1 / (1 + std::exp(-evidence.movement[i])));
  }
};

const Register<Criterion, SoftMovement> entry{"soft_movement", "sigmoid of the movement score; needs training (Sanh et al. 2020, arXiv:2005.07683)"};

}  // namespace
}  // namespace sparsify
