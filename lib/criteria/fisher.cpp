// Diagonal Fisher: the loss's expected second-order change with the empirical Fisher matrix in place of the Hessian,
// w^2 E[g_n^2], from the gradients of single samples.
// Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning", arXiv:1801.05787, eq. 6 (up to 1/2).
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class Fisher final : public Criterion {
 public:
  explicit Fisher(const Options& options) : collection_(read_loss_options(options)) {
    collection_.samples_a_gradient = options.integer("samples_a_gradient", 1, {.min = 1, .max = 65536}, "their mean gradient counts as one; 1 is the Fisher matrix");
  }

  Evidence needs() const override { return Evidence::Fisher; }
  EvidenceOptions evidence_options() const override { return collection_; }

  /// w^2 mean_n g_n^2
  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.fisher, layer.count(), layer, "squared gradients");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(static_cast<double>(weights[i]) * weights[i] * evidence.fisher[i]);
  }

 private:
  EvidenceOptions collection_;
};

const Register<Criterion, Fisher> entry{"fisher", "weight^2 x mean squared gradient of single samples; needs data (Theis et al. 2018, arXiv:1801.05787)"};

}  // namespace
}  // namespace sparsify
