#pragma once

#include <cstdint>
#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// Class scores and labels of the first samples of a batch, one row for each label.
struct ClassScores {
  /// Positions with this label are left out, as in PyTorch's losses.
  static constexpr int64_t kIgnored = -100;

  int64_t classes = 0;
  std::vector<float> scores;    ///< [rows, classes]
  std::vector<int64_t> labels;  ///< [rows], each in [0, classes)

  int64_t rows() const { return static_cast<int64_t>(labels.size()); }
  const float* row(int64_t index) const { return scores.data() + index * classes; }
};

/// The class axis is the second one, as in ONNX's losses, or else the last one, as in language
/// models: whichever leaves the labels' shape. Axes of size 1 do not matter.
///
///   scores  [n, classes, positions...] or [n, positions..., classes], float types
///   labels  [n, positions...], integers
///   count   of samples to take
///   first   index of the first sample, for messages
///   throws  ShapeError if the shapes do not belong together; ResourceError naming the sample and
///   the number of classes
///           for a label outside them
ClassScores class_scores(const HostTensor& scores, const HostTensor& labels, int64_t count,
                         int64_t first);

/// None below 0 and a sum of 1 (to 1e-3): what a model that ends in Softmax gives.
bool are_probabilities(const float* row, int64_t classes);

/// Natural logarithms of softmax(row).
std::vector<double> log_softmax(const float* row, int64_t classes);

}  // namespace sparsify
