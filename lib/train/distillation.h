#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "train/losses.h"
#include "train/settings.h"

namespace sparsify {

/// How far a student is from its teacher.
enum class Distance {
  Classes,      ///< T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over the rows ("batchmean"); Hinton, Vinyals & Dean 2015, arXiv:1503.02531
  Independent,  ///< T^2 KL between the two Bernoulli distributions of sigmoid(. / T), mean over all numbers
  Squared,      ///< mean squared difference
};

/// What `kind: auto` means for an output: the squared difference where the task is one of values or there is one number a sample, independent
/// probabilities where it ends in Sigmoid or the loss is bce, classes otherwise.
///   scores  one batch of it
///   throws  ConfigError for kind kl of a single class, whose softmax is always 1
Distance distance_for(const DistillSettings& settings, const LossSettings& loss, const LossValue& value, const at::Tensor& scores, int64_t axis);

/// Mean over the batch.
///   student, teacher  of one shape; the teacher's without a graph
///   axis    of the classes
///   throws  ShapeError for other shapes
at::Tensor distill_loss(Distance distance, double temperature, const at::Tensor& student, const at::Tensor& teacher, int64_t axis);

}  // namespace sparsify
