// Per row: every output channel keeps the same number of weights, as Wanda ranks them.
// Sun et al. 2023, arXiv:2306.11695.
#include <fmt/core.h>

#include "base/error.h"
#include "config/options.h"
#include "mask/matrix_layout.h"
#include "patterns/pattern.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

class PerRow final : public Pattern {
 public:
  explicit PerRow(const Options&) {}

  std::string describe() const override { return "per_row"; }

  std::string refuses(const PrunableTensor& layer) const override {
    return layer.output_axis < 0 ? "no output axis: the weight has no rows" : "";
  }

  int64_t units(const PrunableTensor& layer) const override { return layer.count(); }

  /// Each of R rows keeps keep / R; the remainder is one more for each of the first keep % R rows.
  BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t keep) const override {
    const MatrixLayout matrix(layer);
    BitMask mask(layer.count(), /*kept=*/false);
    std::vector<float> gathered(static_cast<size_t>(matrix.columns));
    for (int64_t row = 0; row < matrix.rows; ++row) {
      const int64_t share = keep / matrix.rows + (row < keep % matrix.rows ? 1 : 0);
      ScoreView of_row = scores.part(row * matrix.columns, matrix.columns);
      if (matrix.inner != matrix.columns) {
        for (int64_t column = 0; column < matrix.columns; ++column) {
          gathered[static_cast<size_t>(column)] = scores[matrix.flat(row, column)];
        }
        of_row = gathered;
      }
      const BitMask best = select_highest(of_row, share);
      for (int64_t column = 0; column < matrix.columns; ++column) {
        if (best[column]) mask.keep(matrix.flat(row, column));
      }
    }
    return mask;
  }

  std::string violation(const PrunableTensor& layer, const BitMask& mask) const override {
    const MatrixLayout matrix(layer);
    const int64_t kept = mask.kept();
    for (int64_t row = 0; row < matrix.rows; ++row) {
      int64_t of_row = 0;
      for (int64_t column = 0; column < matrix.columns; ++column) of_row += mask[matrix.flat(row, column)];
      const int64_t expected = kept / matrix.rows + (row < kept % matrix.rows ? 1 : 0);
      if (of_row != expected) {
        return fmt::format("row {} of \"{}\" keeps {} weights, its share is {}", row, layer.initializer, of_row, expected);
      }
    }
    return "";
  }
};

const Register<Pattern, PerRow> entry{"per_row", "any weight, the same number in every output channel"};

}  // namespace
}  // namespace sparsify
