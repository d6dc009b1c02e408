#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "program/batch_norm.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace sparsify {

/// What a step shares with other processes; alone, everything is what it was.
class Together {
 public:
  explicit Together(ProcessGroup* processes);

  bool is_first() const { return processes_ == nullptr || processes_->is_first(); }
  int64_t rank() const { return processes_ == nullptr ? 0 : processes_->rank(); }
  int64_t size() const { return processes_ == nullptr ? 1 : processes_->size(); }
  bool is_alone() const { return processes_ == nullptr; }

  /// Begins an order of the first process: the others are told what to train (order_of), all begin with its state.
  void begin(const TrainTask& task);
  void end() const;
  /// The first one's checkpoint, at all.
  Checkpoint share_state(Checkpoint own) const;
  MaskMap share_masks(MaskMap own) const;

  double sum(double value) const;
  /// In place; each defined at all processes or at none.
  void sum_(const std::vector<at::Tensor>& gradients) const;
  /// For RunOptions: null when alone.
  ///   counts  false for a batch that is none of this process's
  const BatchShare* batch_share(bool counts);

 private:
  ProcessGroup* processes_;
  BatchShare share_;
};

}  // namespace sparsify
