// Taylor: how much the loss changes, to first (or second) order, when a weight or a whole channel becomes 0.
// Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning", CVPR, arXiv:1906.10771, eq. 5-8: the square of the
// sum over a filter is averaged over mini-batches. Products are taken batch by batch: at a trained minimum the mean gradient
// of all data is nearly 0 and says nothing.
#include <cmath>

#include "base/error.h"
#include "criteria/channel_scores.h"

namespace sparsify {
namespace {

class Taylor final : public Criterion {
 public:
  explicit Taylor(const Options& options)
      : order_(options.integer("order", 1, {.min = 1, .max = 2}, "2: adds the curvature (Hutchinson), |h w^2 / 2 - g w|")),
        by_channel_(options.choice("granularity", "weight", {"weight", "channel"}, "channel: every weight has the score of its output channel") == "channel"),
        squared_(options.choice("average", "squares", {"squares", "magnitudes"}, "over batches, of (g w)^2 or |g w|; order 1, per weight") == "squares"),
        collection_(read_loss_options(options)) {
    const int64_t probes = options.integer("probes", 4, {.min = 1, .max = 1000}, "order 2: random vectors a batch");
    if (order_ == 2) collection_.probes = probes;
    if (order_ == 2 && by_channel_) {
      throw ConfigError{{.what = "order 2 is per weight: the curvature between the weights of a channel is not collected",
                         .where = options.where("granularity"),
                         .fix = "use order: 1, or criterion: hessian_trace"}};
    }
  }

  Evidence needs() const override {
    if (order_ == 2) return Evidence::Gradients | Evidence::HessianDiagonal;
    return by_channel_ ? Evidence::ChannelProducts : Evidence::GradientProducts;
  }
  EvidenceOptions evidence_options() const override { return collection_; }
  bool is_per_channel() const override { return by_channel_; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override {
    return by_channel_ ? refuse_without_channels(layer) : "";
  }

  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    if (by_channel_) {
      require_evidence(evidence.channel_squares, layer.output_channels(), layer, "gradient products");
      spread(layer, evidence.channel_squares, scores);
      return;
    }
    if (order_ == 2) {
      require_evidence(evidence.gradient, layer.count(), layer, "gradients");
      require_evidence(evidence.hessian_diagonal, layer.count(), layer, "the Hessian's diagonal");
      for (size_t i = 0; i < scores.size(); ++i) {
        const double w = weights[i];
        scores[i] = to_score(std::fabs(0.5 * evidence.hessian_diagonal[i] * w * w - evidence.gradient[i] * w));
      }
      return;
    }
    const std::vector<double>& products = squared_ ? evidence.product_squares : evidence.product_magnitudes;
    require_evidence(products, layer.count(), layer, "gradient products");
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = to_score(products[i]);
  }

 private:
  int64_t order_;
  bool by_channel_;
  bool squared_;
  EvidenceOptions collection_;
};

const Register<Criterion, Taylor> entry{"taylor", "mean over batches of (gradient x weight)^2, per weight or channel; needs data (Molchanov et al. 2019, arXiv:1906.10771)"};

}  // namespace
}  // namespace sparsify
