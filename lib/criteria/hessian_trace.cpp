// Hessian trace: the mean curvature of a channel times half its squared norm, trace(H_kk) / p * ||w_k||^2 / 2. Every weight has
// its output channel's score. The diagonal is Hutchinson's estimate E[v (.) Hv], v of random signs.
// Yu et al. 2022, "Hessian-Aware Pruning and Optimal Neural Implant", arXiv:2101.08940, eq. 6.
#include "criteria/channel_scores.h"
#include "mask/matrix_layout.h"
#include "mask/score_sign.h"

namespace sparsify {
namespace {

class HessianTrace final : public Criterion, public SignedScores {
 public:
  explicit HessianTrace(const Options& options) : collection_(read_loss_options(options)) {
    collection_.probes = options.integer("probes", 4, {.min = 1, .max = 1000}, "random vectors a batch");
    collection_.finite_differences = options.flag("finite_differences", false, "H v from two gradients instead of differentiating twice");
  }

  Evidence needs() const override { return Evidence::HessianDiagonal; }
  EvidenceOptions evidence_options() const override { return collection_; }
  bool is_per_channel() const override { return true; }
  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override { return refuse_without_channels(layer); }

  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    require_evidence(evidence.hessian_diagonal, layer.count(), layer, "the Hessian's diagonal");
    const MatrixLayout layout(layer);
    std::vector<double> channels(static_cast<size_t>(layout.rows));
    for (int64_t row = 0; row < layout.rows; ++row) {
      double trace = 0;
      double squares = 0;
      for (int64_t column = 0; column < layout.columns; ++column) {
        const auto flat = static_cast<size_t>(layout.flat(row, column));
        trace += evidence.hessian_diagonal[flat];
        squares += static_cast<double>(weights[flat]) * weights[flat];
      }
      channels[static_cast<size_t>(row)] = trace / static_cast<double>(layout.columns) * squares / 2;
    }
    spread(layer, channels, scores);
  }

 private:
  EvidenceOptions collection_;
};

const Register<Criterion, HessianTrace> entry{"hessian_trace", "mean curvature x squared norm of the output channel's filter; needs data (HAP: Yu et al. 2022, arXiv:2101.08940)"};

}  // namespace
}  // namespace sparsify
