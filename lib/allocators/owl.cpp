// OWL: layers with more outlying scores stay denser.
// Yin et al. 2024, "Outlier Weighed Layerwise Sparsity (OWL)", arXiv:2310.05175: D = share of a layer's scores above M times
// their mean; densities lie within lambda of the target in the order of D, and their mean is the target.
// The paper ranks by |weight| x input norm: pair with `criterion: wanda`.
#include <algorithm>

#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Owl final : public Allocator {
 public:
  explicit Owl(const Options& options)
      : spread_(options.number("lambda", 0.08, {.min = 0, .max = 1}, "how far densities may lie from the target")),
        outlier_(options.number("outlier", 5, {.min = 1}, "a score above so many times its layer's mean is an outlier")) {}

  /// density = 1 - S + 2 lambda (D' - mean D'), D' = (D - min D) / (max D - min D); then a common shift to meet the count.
  Budget allocate(const AllocationTask& task) const override {
    std::vector<double> shares;
    for (size_t i = 0; i < task.layers.size(); ++i) shares.push_back(outliers_of(task, i));
    if (shares.empty()) return {};
    const auto [least, most] = std::minmax_element(shares.begin(), shares.end());
    const double low = *least;
    const double range = *most - *least;
    double mean = 0;
    for (double& share : shares) {
      share = range > 0 ? (share - low) / range : 0;
      mean += share / static_cast<double>(shares.size());
    }
    return keep_at_level(
        task,
        [&](size_t i, double level) { return (level + 2 * spread_ * (shares[i] - mean)) * static_cast<double>(task.units[i]); },
        -2, 3);
  }

 private:
  double outliers_of(const AllocationTask& task, size_t layer) const {
    std::vector<float> buffer;
    const ScoreView scores = task.scores(layer, buffer);
    double sum = 0;
    for (int64_t i = 0; i < scores.size(); ++i) sum += scores[i];
    const double limit = scores.empty() ? 0 : outlier_ * sum / static_cast<double>(scores.size());
    int64_t above = 0;
    for (int64_t i = 0; i < scores.size(); ++i) above += scores[i] > limit;
    return scores.empty() ? 0 : static_cast<double>(above) / static_cast<double>(scores.size());
  }

  double spread_;
  double outlier_;
};

const Register<Allocator, Owl> entry{"owl", "near uniform, denser where a layer has outlying scores; pair with wanda"};

}  // namespace
}  // namespace sparsify
