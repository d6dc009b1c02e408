// Normalised: one ranking of all layers after each layer's scores were divided by their L2 norm, so that a layer on another
// scale is not emptied. It is what NNCF ranks in its global mode.
#include <cmath>

#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Normalised final : public Allocator {
 public:
  explicit Normalised(const Options&) {}

  /// score / ||scores of the layer||; a layer of zeros keeps its zeros.
  Budget allocate(const AllocationTask& task) const override {
    return keep_highest(task, [&](size_t layer, std::vector<float>& buffer) {
      std::vector<float> scratch;
      const ScoreView scores = task.scores(layer, scratch);
      double squares = 0;
      for (int64_t i = 0; i < scores.size(); ++i) squares += static_cast<double>(scores[i]) * scores[i];
      const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
      buffer.resize(static_cast<size_t>(scores.size()));
      for (int64_t i = 0; i < scores.size(); ++i) buffer[static_cast<size_t>(i)] = static_cast<float>(scores[i] * scale);
      return ScoreView(buffer);
    });
  }
};

const Register<Allocator, Normalised> entry{"normalised", "one ranking of scores divided by their layer's norm"};

}  // namespace
}  // namespace sparsify
