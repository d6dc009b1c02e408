// FPGM: a filter near the geometric median of its layer can be replaced by the others. Score: the sum of its distances to all
// filters. Every weight has its output channel's score. Needs no data.
// He et al. 2019, "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration", arXiv:1811.00250, eq. 5.
#include <algorithm>
#include <cmath>

#include "criteria/channel_scores.h"
#include "mask/matrix_layout.h"

namespace sparsify {
namespace {

class GeometricMedian final : public Criterion {
 public:
  explicit GeometricMedian(const Options&) {}

  bool is_per_channel() const override { return true; }
  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override { return refuse_without_channels(layer); }

  /// sum over j of ||F_k - F_j||; time: channels^2 x fan-in
  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence&, std::span<float> scores) const override {
    const MatrixLayout layout(layer);
    const auto rows = static_cast<size_t>(layout.rows);
    std::vector<double> distances(rows * rows);
    for (size_t a = 0; a < rows; ++a) {
      for (size_t b = a + 1; b < rows; ++b) {
        double squares = 0;
        for (int64_t column = 0; column < layout.columns; ++column) {
          const double difference = static_cast<double>(weights[static_cast<size_t>(layout.flat(static_cast<int64_t>(a), column))]) -
                                    weights[static_cast<size_t>(layout.flat(static_cast<int64_t>(b), column))];
          squares += difference * difference;
        }
        distances[a * rows + b] = distances[b * rows + a] = std::sqrt(squares);
      }
    }
    std::vector<double> sums(rows);
    for (size_t a = 0; a < rows; ++a) {
      const auto own = distances.begin() + static_cast<int64_t>(a * rows);
      std::sort(own, own + static_cast<int64_t>(rows));  // the same sum in whatever order the channels are stored
      for (size_t b = 0; b < rows; ++b) sums[a] += own[static_cast<int64_t>(b)];
    }
    spread(layer, sums, scores);
  }
};

const Register<Criterion, GeometricMedian> entry{"geometric_median", "distance of the output channel's filter to all others; needs no data (FPGM: He et al. 2019, arXiv:1811.00250)"};

}  // namespace
}  // namespace sparsify
