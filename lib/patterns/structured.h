#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mask/matrix_layout.h"
#include "patterns/pattern.h"
#include "tensor/select.h"

namespace sparsify {

/// How units of groups (structure/structure.h) are scored, ranked and removed.
struct StructuredOptions {
  int64_t round_to = 1;   ///< every group that loses channels keeps a width that is a multiple of it, of heads their number; never fewer than asked
  int64_t min_width = 1;  ///< units that every group keeps at least
  int64_t steps = 1;      ///< removes in so many steps, scored again after each
  double power = 0;       ///< scores of weights are raised to it before they are summed over a slice; 0: 2 for |weight|, else 1
  std::string aggregate = "mean";    ///< over the members of a group: mean, sum, max
  std::string normalise = "max";     ///< of a group's scores, before groups are compared: mean, sum, max, none
  std::string scope = "global";      ///< what is ranked together: global, layer (each group), isomorphic (groups alike)
};

/// A pattern whose units are removed physically, together with all that is coupled to them: pipeline/cut.h. As the mask of one
/// layer, its units are whole output channels.
class StructuredPattern : public Pattern {
 public:
  explicit StructuredPattern(std::string name, const Options& options) : name_(std::move(name)) {
    read_.round_to = options.integer("round_to", 1, {.min = 1}, "the width that a cut leaves (of heads: their number) is a multiple of it; removes fewer, never more");
    read_.min_width = options.integer("min_width", 1, {.min = 1}, "units that every group keeps at least");
    read_.steps = options.integer("steps", 1, {.min = 1, .max = 1000}, "removes in so many steps and scores again after each");
    read_.power = options.number("power", 0, {.min = 0, .max = 8}, "scores of weights are raised to it before they are summed; 0: 2 for magnitude, else 1");
    read_.aggregate = options.choice("aggregate", "mean", {"mean", "sum", "max"}, "how the members of a group are joined to one score");
    read_.normalise = options.choice("normalise", "max", {"mean", "sum", "max", "none"}, "what a group's scores are divided by before groups are compared");
    read_.scope = options.choice("scope", "global", {"global", "layer", "isomorphic"}, "which groups are ranked together");
  }

  const std::string& name() const { return name_; }
  const StructuredOptions& structured() const { return read_; }

  std::string describe() const override { return name_; }
  std::string refuses(const PrunableTensor& layer) const override { return layer.output_axis < 0 ? "no output axis: the weight has no channels" : ""; }
  int64_t units(const PrunableTensor& layer) const override { return MatrixLayout(layer).rows; }

  ScoreView unit_scores(const PrunableTensor& layer, ScoreView scores, std::vector<float>& buffer) const override {
    const MatrixLayout matrix(layer);
    buffer.resize(static_cast<size_t>(matrix.rows));
    for (int64_t row = 0; row < matrix.rows; ++row) {
      double sum = 0;
      for (int64_t column = 0; column < matrix.columns; ++column) sum += scores[matrix.flat(row, column)];
      buffer[static_cast<size_t>(row)] = static_cast<float>(sum);
    }
    return ScoreView(buffer);
  }

  BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t keep) const override {
    const MatrixLayout matrix(layer);
    std::vector<float> sums;
    const BitMask rows = select_highest(unit_scores(layer, scores, sums), keep);
    BitMask mask(layer.count(), /*kept=*/false);
    for (int64_t row = 0; row < matrix.rows; ++row) {
      for (int64_t column = 0; rows[row] && column < matrix.columns; ++column) mask.keep(matrix.flat(row, column));
    }
    return mask;
  }

  std::string violation(const PrunableTensor& layer, const BitMask& mask) const override {
    const MatrixLayout matrix(layer);
    for (int64_t row = 0; row < matrix.rows; ++row) {
      for (int64_t column = 1; column < matrix.columns; ++column) {
        if (mask[matrix.flat(row, column)] == mask[matrix.flat(row, 0)]) continue;
        return "channel " + std::to_string(row) + " of \"" + layer.initializer + "\" is pruned in part";
      }
    }
    return "";
  }

 private:
  std::string name_;
  StructuredOptions read_;
};

}  // namespace sparsify
