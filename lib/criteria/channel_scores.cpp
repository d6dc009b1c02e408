#include "criteria/channel_scores.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "mask/matrix_layout.h"

namespace sparsify {

void require_evidence(std::span<const double> values, int64_t wanted, const PrunableTensor& layer, const char* kind) {
  if (static_cast<int64_t>(values.size()) == wanted) return;
  throw ShapeError{{.what = fmt::format("{} values of {} were collected, and the layer needs {}", values.size(), kind, wanted),
                    .where = layer.layer,
                    .fix = "collect evidence with the model that is being pruned"}};
}

float to_score(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(value, -kLargest, kLargest));
}

std::string refuse_without_channels(const PrunableTensor& layer) {
  if (layer.output_axis < 0) return "its weight has no axis of output channels";
  if (layer.op == "ConvTranspose" && layer.groups > 1) return "a grouped ConvTranspose has several output channels on one index";
  return "";
}

void spread(const PrunableTensor& layer, std::span<const double> channels, std::span<float> scores) {
  const MatrixLayout layout(layer);
  for (int64_t row = 0; row < layout.rows; ++row) {
    const float score = to_score(channels[static_cast<size_t>(row)]);
    for (int64_t column = 0; column < layout.columns; ++column) scores[static_cast<size_t>(layout.flat(row, column))] = score;
  }
}

EvidenceOptions read_loss_options(const Options& options) {
  EvidenceOptions read;
  read.loss = options.choice("loss", read.loss, {"auto", "cross_entropy", "mse", "squared_outputs", "pseudo_labels", "outputs"},
                             "what is differentiated; auto: cross_entropy with class labels, mse with float targets, else squared_outputs; "
                             "outputs: their sum, for a graph that computes its own loss");
  return read;
}

}  // namespace sparsify
