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
        normalise_(options.choice("normalise", "none", {"none", "layer", "std"},
                                  "layer: weights are divided by the L2 norm of their layer before they are compared; std: by their standard deviation")) {}

  bool is_magnitude() const override { return !squared_ && normalise_ == "none"; }

  /// score = |w / c| or (w / c)^2 with c = 1, the L2 norm or the (biased) standard deviation of the layer
  void score(const PrunableTensor&, std::span<const float> weights, const LayerEvidence&,
             std::span<float> scores) const override {
    const double scale = normalise_ == "none" ? 1.0 : normalise_ == "layer" ? inverse_norm(weights) : inverse_deviation(weights);
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

  static double inverse_deviation(std::span<const float> weights) {
    double sum = 0;
    for (const float weight : weights) sum += weight;
    const double mean = sum / static_cast<double>(weights.size());
    double squares = 0;
    for (const float weight : weights) squares += (weight - mean) * (weight - mean);
    return squares > 0 ? 1 / std::sqrt(squares / static_cast<double>(weights.size())) : 0;
  }

  bool squared_;
  std::string normalise_;
};

const Register<Criterion, Magnitude> entry{"magnitude", "|weight|: needs no data"};

}  // namespace
}  // namespace sparsify
