// Movement: what training moves away from 0 matters. S = - sum over steps of dL/dw x w, accumulated by the trainer for all
// weights, masked ones too.
// Sanh, Wolf & Rush 2020, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", arXiv:2005.07683, eq. 6-7.
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class Movement final : public Criterion {
 public:
  explicit Movement(const Options&) {}

  Evidence needs() const override { return Evidence::Movement; }

  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.movement, layer.count(), layer, "movement");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(evidence.movement[i]);
  }
};

const Register<Criterion, Movement> entry{"movement", "how far training moves a weight away from 0; needs training (Sanh et al. 2020, arXiv:2005.07683)"};

}  // namespace
}  // namespace sparsify
