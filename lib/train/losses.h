#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "onnx/model_file.h"
#include "train/settings.h"

namespace sparsify {

/// The value that a loss is taken of: an output, or what goes into the Softmax or Sigmoid that makes it, because the losses
/// bring their own.
struct LossValue {
  std::string output;       ///< of the graph
  size_t index = 0;         ///< of it
  std::string tap;          ///< value to read instead; "" = the output itself
  bool independent = false; ///< it ends in Sigmoid: every number is a probability of its own
  int64_t class_axis = 1;   ///< as far as the graph tells; labels know better
};
/// throws ConfigError for an output that the graph does not have
LossValue find_loss_value(const ModelFile& file, const LossSettings& settings);

/// Where the i-th sample of a batch comes from, for messages.
using SamplePlace = std::function<std::string(int64_t)>;

/// Mean over the samples (and positions) of a batch.
///
///   scores   [n, classes, positions...] or [n, positions..., classes]; for bce, mse, mae, huber any shape
///   target   class indices int64 [n, positions...] (-100: left out), or float targets of the scores' size
///   throws   naming the sample's place: ResourceError for a label outside [0, classes), ShapeError for shapes that do not belong together
at::Tensor task_loss(const LossSettings& settings, const at::Tensor& scores, const at::Tensor& target, const SamplePlace& place);

/// How much such a batch of `samples` weighs beside others of its step: for class indices only the share of positions that are not left out.
double labelled(const LossSettings& settings, const at::Tensor& target, int64_t samples);

/// The axis of the scores that the labels do not have: 1 or the last; 0 if the shapes do not fit.
int64_t class_axis(const at::Tensor& scores, const at::Tensor& labels);

}  // namespace sparsify
