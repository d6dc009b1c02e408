// An example of a pattern and a schedule in one library. docs/plugins.md explains it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "sparsify_plugin.h"

namespace {

using namespace sparsify;

/// A unit is one row of a convolution's kernel, the weights that meet neighbouring pixels of one line: of a 3x3 kernel
/// three units of three. Conv stores [outputs, inputs, height, width], so a row is `width` consecutive weights.
class KernelRow final : public Pattern {
 public:
  explicit KernelRow(const Options&) {}

  std::string describe() const override { return "kernel_row"; }

  std::string refuses(const PrunableTensor& layer) const override {
    if (layer.shape.size() != 4) return "no kernel of height and width";
    return width(layer) == 1 ? "its kernel is one column wide: a row is a single weight" : "";
  }

  int64_t units(const PrunableTensor& layer) const override { return layer.count() / width(layer); }

  /// The sum over a row's weights; a sum beyond float32's range becomes its largest number, since scores are finite.
  ScoreView unit_scores(const PrunableTensor& layer, ScoreView scores, std::vector<float>& buffer) const override {
    constexpr double kLargest = std::numeric_limits<float>::max();
    buffer.resize(static_cast<size_t>(units(layer)));
    for (int64_t row = 0; row < units(layer); ++row) {
      double sum = 0;
      for (int64_t i = 0; i < width(layer); ++i) sum += scores[row * width(layer) + i];
      buffer[static_cast<size_t>(row)] = static_cast<float>(std::clamp(sum, -kLargest, kLargest));
    }
    return buffer;
  }

  BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t keep) const override {
    std::vector<float> buffer;
    const BitMask rows = select_highest(unit_scores(layer, scores, buffer), keep);  // exact, lower index first among equals
    BitMask mask(layer.count(), /*kept=*/false);
    for (int64_t i = 0; i < layer.count(); ++i) {
      if (rows[i / width(layer)]) mask.keep(i);
    }
    return mask;
  }

  std::string violation(const PrunableTensor& layer, const BitMask& mask) const override {
    for (int64_t i = 1; i < layer.count(); ++i) {
      if (i % width(layer) != 0 && mask[i] != mask[i - 1]) {
        return "row " + std::to_string(i / width(layer)) + " of \"" + layer.initializer + "\" is neither kept nor pruned as a whole";
      }
    }
    return "";
  }

 private:
  static int64_t width(const PrunableTensor& layer) { return layer.shape.back(); }
};

/// Slow at both ends, fastest in the middle: s = target (1 - cos(pi p)) / 2, p from 0 at the start to 1 at `end`.
class CosineRise final : public Schedule {
 public:
  explicit CosineRise(const Options& options)
      : end_(options.number("end", 1.0, {.min = 0, .max = 1, .above_min = true}, "progress at which the target is reached; 0.75 by default in a run that trains")),
        every_(options.integer("every", 0, {.min = 0}, "optimizer steps between two changes of the masks; 0: the program's choice")) {}

  double sparsity_at(double progress, double target) const override {
    const double position = std::clamp(progress / end_, 0.0, 1.0);
    return target * (1 - std::cos(std::numbers::pi * position)) / 2;
  }

  bool is_gradual() const override { return true; }
  int64_t every() const override { return every_; }

 private:
  double end_;
  int64_t every_;
};

const RegisterPlugin<Pattern, KernelRow> pattern{"kernel_row", "whole rows of convolution kernels"};
const RegisterPlugin<Schedule, CosineRise> schedule{"cosine_rise", "gradual: slow at both ends, fastest in the middle"};

}  // namespace

SPARSIFY_PLUGIN()
