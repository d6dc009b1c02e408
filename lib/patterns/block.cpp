// Blocks: rectangles of the weight matrix are kept or pruned as one, so that a sparse kernel works on dense pieces.
// Gray, Radford & Kingma 2017, "GPU Kernels for Block-Sparse Weights"; 4x1 is what XNNPACK and ELSA-style CPU kernels like.
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "config/options.h"
#include "mask/matrix_layout.h"
#include "patterns/pattern.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

class Block final : public Pattern {
 public:
  explicit Block(const Options& options) {
    const auto size = options.integers("value", {4, 1}, {.min = 1, .max = 1 << 20},
                                       "[R, C]: R output channels by C consecutive weights of each");
    if (size.size() != 2) {
      throw ConfigError{{.what = fmt::format("a block has {} sizes", size.size()),
                         .where = options.where("value"),
                         .fix = "give two: {block: [R, C]}, such as {block: [4, 1]}"}};
    }
    height_ = size[0];
    width_ = size[1];
  }

  std::string describe() const override { return fmt::format("block {}x{}", height_, width_); }

  std::string refuses(const PrunableTensor& layer) const override {
    return layer.output_axis < 0 ? "no output axis: the weight is not a matrix of output channels" : "";
  }

  int64_t units(const PrunableTensor& layer) const override { return blocks_of(layer).count(); }

  ScoreView unit_scores(const PrunableTensor& layer, ScoreView scores, std::vector<float>& buffer) const override {
    std::vector<double> sums(static_cast<size_t>(units(layer)), 0.0);
    for_each(layer, [&](int64_t element, int64_t block) { sums[static_cast<size_t>(block)] += scores[element]; });
    const double largest = std::numeric_limits<float>::max();  // a sum may leave float32's range
    buffer.resize(sums.size());
    std::transform(sums.begin(), sums.end(), buffer.begin(),
                   [largest](double sum) { return static_cast<float>(std::clamp(sum, -largest, largest)); });
    return buffer;
  }

  BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t keep) const override {
    std::vector<float> buffer;
    const BitMask blocks = select_highest(unit_scores(layer, scores, buffer), keep);
    BitMask mask(layer.count());
    for_each(layer, [&](int64_t element, int64_t block) {
      if (!blocks[block]) mask.prune(element);
    });
    return mask;
  }

  std::string violation(const PrunableTensor& layer, const BitMask& mask) const override {
    const MatrixLayout matrix(layer);
    for (int64_t row = 0; row < matrix.rows; ++row) {
      for (int64_t column = 0; column < matrix.columns; ++column) {
        const int64_t top = row / height_ * height_;
        const int64_t left = column / width_ * width_;
        if (mask[matrix.flat(row, column)] != mask[matrix.flat(top, left)]) {
          return fmt::format("the block of \"{}\" at row {}, column {} is neither kept nor pruned as a whole",
                             layer.initializer, top, left);
        }
      }
    }
    return "";
  }

 private:
  struct Grid {
    int64_t down = 0;
    int64_t across = 0;
    int64_t count() const { return down * across; }
  };

  Grid blocks_of(const PrunableTensor& layer) const {
    const MatrixLayout matrix(layer);
    return {(matrix.rows + height_ - 1) / height_, (matrix.columns + width_ - 1) / width_};
  }

  /// Calls visit(flat index, block) in memory order.
  template <class Visit>
  void for_each(const PrunableTensor& layer, Visit visit) const {
    const MatrixLayout matrix(layer);
    const Grid grid = blocks_of(layer);
    int64_t element = 0;
    for (int64_t first = 0; first < matrix.columns; first += matrix.inner) {
      for (int64_t row = 0; row < matrix.rows; ++row) {
        int64_t block = row / height_ * grid.across + first / width_;
        int64_t within = first % width_;
        for (int64_t i = 0; i < matrix.inner; ++i, ++element) {
          visit(element, block);
          if (++within == width_) {
            within = 0;
            ++block;
          }
        }
      }
    }
  }

  int64_t height_ = 0;
  int64_t width_ = 0;
};

const Register<Pattern, Block> entry{"block", "rectangles of the weight matrix; {block: [4, 1]}"};

}  // namespace
}  // namespace sparsify
