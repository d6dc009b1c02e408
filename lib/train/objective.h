#pragma once

#include <memory>
#include <string>
#include <vector>

#include "program/program.h"
#include "train/distillation.h"
#include "train/losses.h"
#include "train/mixing.h"
#include "train/trainer.h"

namespace sparsify {

/// What a batch costs: the task's loss, the teacher's, features. Keeps the program of the teacher.
class Objective {
 public:
  /// throws ConfigError for a loss that the data cannot feed, ResourceError for features that a model does not have
  Objective(const TrainTask& task, Program& program);

  /// Mean over the batch's samples, with its graph.
  ///   seed  of dropout and mixing in this batch
  at::Tensor loss(const Batch& batch, uint64_t seed);

  /// How much the batch's loss() weighs beside others of the step: its samples, where some of their positions have labels to learn from only that share.
  double weight(const Batch& batch) const;

  /// The same number, with nothing moved: neither running statistics nor gradients. Of this process's batch alone.
  double value(const Batch& batch, uint64_t seed);

  /// How the model runs in loss(): what the trainer adds to it.
  RunOptions& run_options() { return run_; }

  /// The first value of the graph that is not finite for this batch, in the order of the file: `"name" (Conv "node")`; "" if
  /// there is none.
  std::string first_bad_value(const Batch& batch, uint64_t seed);

 private:
  at::Tensor loss_with(const Batch& batch, const RunOptions& options);
  std::vector<Value> inputs_of(const Batch& batch, uint64_t seed, Mixed& mixed) const;
  at::Tensor task_part(const at::Tensor& scores, const Batch& batch, const Mixed& mixed) const;
  /// Its share of the loss, and the features, which have a weight of their own.
  at::Tensor teacher_part(double share, const RunResult& student, const at::Tensor& scores, const std::vector<Value>& inputs, const Batch& batch);
  std::string place_of(const Batch& batch, int64_t sample) const;
  int64_t class_axis_of(const at::Tensor& scores, const Batch& batch) const;
  at::Tensor scores_of(const RunResult& result, const LossValue& value, int64_t count) const;

  const TrainTask& task_;
  Program& program_;
  LossSettings loss_;
  bool has_task_ = true;
  LossValue value_;
  std::unique_ptr<Program> teacher_;
  LossValue teacher_value_;
  RunOptions run_;
  at::Device device_;
};

}  // namespace sparsify
