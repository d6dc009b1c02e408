// Random scores: the baseline that every criterion must beat.
#include "base/rng.h"
#include "config/options.h"
#include "criteria/criterion.h"

namespace sparsify {
namespace {

class Random final : public Criterion {
 public:
  explicit Random(const Options&) {}

  /// Uniform in [0, 1), named by the run's seed and the initializer: the same for any thread, order or platform.
  void score(const PrunableTensor& layer, std::span<const float>, const LayerEvidence& evidence,
             std::span<float> scores) const override {
    const Rng rng(evidence.seed, layer.initializer);
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = rng.uniform_at(i);
  }
};

const Register<Criterion, Random> entry{"random", "uniform random scores from the run's seed: the baseline"};

}  // namespace
}  // namespace sparsify
