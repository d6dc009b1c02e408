// Magnitude: a small weight matters little.
// Han et al. 2015, "Learning both Weights and Connections for Efficient Neural Networks", arXiv:1506.02626.
// l1 and l2 rank single weights alike and differ where scores are summed over a block.
#include <algorithm>
#include <cmath>
#include <limits>

#include "config/options.h"
#include "criteria/criterion.h"

namespace sparsify {
namespace {

class Magnitude final : public Criterion {
 public:
  explicit Magnitude(const Options& options)
      : squared_(options.choice("norm", "l1", {"l1", "l2"},
                                "l1: |w|; l2: w^2, which sums to the squared norm of a block") == "l2"),
        by_layer_(options.choice("normalise", "none", {"none", "layer"},
                                 "layer: weights are divided by the L2 norm of their layer before they are compared") ==
                  "layer") {}

  bool is_magnitude() const override { return !squared_ && !by_layer_; }

  /// score = |w / c| or (w / c)^2 with c = 1 or the L2 norm of the layer
  void score(const PrunableTensor&, std::span<const float> weights, const LayerEvidence&,
             std::span<float> scores) const override {
    const double scale = by_layer_ ? inverse_norm(weights) : 1.0;
    constexpr double kLargest = std::numeric_limits<float>::max();  // a square may leave float32's range
    for (size_t i = 0; i < weights.size(); ++i) {
      const double scaled = std::fabs(weights[i]) * scale;
      scores[i] = static_cast<float>(std::min(squared_ ? scaled * scaled : scaled, kLargest));
    }
  }

 private:
  static double inverse_norm(std::span<const float> weights) {
    double squares = 0;
    for (const float weight : weights) squares += static_cast<double>(weight) * weight;
    return squares > 0 ? 1 / std::sqrt(squares) : 0;
  }

  bool squared_;
  bool by_layer_;
};

const Register<Criterion, Magnitude> entry{"magnitude", "|weight|: needs no data"};

}  // namespace
}  // namespace sparsify
