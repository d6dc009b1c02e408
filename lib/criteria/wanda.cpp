// Wanda: a small weight on a loud input still matters.
// Sun et al. 2024, "A Simple and Effective Pruning Approach for Large Language Models", arXiv:2306.11695, eq. 1. The paper
// compares the weights of one output only: that is `pattern: per_row` (or N:M), not a matter of the score. For a convolution
// the inputs are the columns of im2col, padding included.
#include <cmath>

#include "criteria/channel_scores.h"
#include "mask/matrix_layout.h"

namespace sparsify {
namespace {

class Wanda final : public Criterion {
 public:
  explicit Wanda(const Options& options)
      : norm_power_(options.number("norm_power", 1, {.min = 0, .max = 4}, "of the input's norm; 1 is the paper, 0 plain magnitude")) {}

  Evidence needs() const override { return Evidence::InputSquares; }

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override {
    return layer.output_axis < 0 ? "its weight has no axis of output channels" : "";
  }

  /// |W[o, i]| * ||X[i]||^norm_power
  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence& evidence, std::span<float> scores) const override {
    const MatrixLayout layout(layer);
    const int64_t groups = evidence.input_groups;
    require_evidence(evidence.input_squares, groups * layout.columns, layer, "input norms");
    std::vector<double> norms;
    for (const double squares : evidence.input_squares) norms.push_back(std::pow(squares, norm_power_ / 2));
    for (int64_t row = 0; row < layout.rows; ++row) {
      const double* own = norms.data() + row / (layout.rows / groups) * layout.columns;
      for (int64_t column = 0; column < layout.columns; ++column) {
        const auto flat = static_cast<size_t>(layout.flat(row, column));
        scores[flat] = to_score(std::fabs(weights[flat]) * own[column]);
      }
    }
  }

 private:
  double norm_power_;
};

const Register<Criterion, Wanda> entry{"wanda", "|weight| x norm of its input; needs data, no labels; pair with pattern: per_row or N:M (Sun et al. 2024, arXiv:2306.11695)"};

}  // namespace
}  // namespace sparsify
