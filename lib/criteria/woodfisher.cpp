// WoodFisher: Optimal Brain Surgeon's saliency w_q^2 / (2 [F^-1]_qq) with the block-wise inverse empirical Fisher matrix.
// Singh & Alistarh 2020, "WoodFisher: Efficient Second-Order Approximation for Neural Network Compression", arXiv:2004.14340,
// eq. 4 and 6. Scores only; correcting the weights that stay is a solver's work.
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class WoodFisher final : public Criterion {
 public:
  explicit WoodFisher(const Options& options) : collection_(read_loss_options(options)) {
    collection_.block = options.integer("block", 64, {.min = 0, .max = 8192}, "consecutive weights of an output channel treated jointly; 0: all of it; memory 8 x block bytes a weight");
    collection_.damping = options.number("damping", 1e-5, {.min = 0, .max = 1e3, .above_min = true}, "lambda of lambda I + mean g g^T");
    collection_.samples_a_gradient = options.integer("samples_a_gradient", 1, {.min = 1, .max = 65536}, "their mean gradient counts as one");
  }

  Evidence needs() const override { return Evidence::InverseFisher; }
  EvidenceOptions evidence_options() const override { return collection_; }

  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.inverse_fisher, layer.count(), layer, "the inverse Fisher matrix's diagonal");
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = to_score(static_cast<double>(weights[i]) * weights[i] / (2 * evidence.inverse_fisher[i]));
    }
  }

 private:
  EvidenceOptions collection_;
};

const Register<Criterion, WoodFisher> entry{"woodfisher", "w^2 / (2 [F^-1]_qq), block-wise; needs data with labels (Singh & Alistarh 2020, arXiv:2004.14340)"};

}  // namespace
}  // namespace sparsify
