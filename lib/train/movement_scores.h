#pragma once

#include <map>
#include <memory>

#include "train/movement.h"
#include "train/optimizer.h"
#include "train/trainables.h"

namespace sparsify {

/// The scores of movement pruning, trained beside the weights by an Adam of their own.
class MovementScores {
 public:
  MovementScores(const MovementSettings& settings, std::vector<Trainable>& trainables);

  bool active() const { return active_; }
  /// Whether this tensor's mask follows its scores now.
  bool choose(int id) const { return active_ && entries_.contains(id); }

  /// The leaf that the program sees in place of the weight: its gradient is dL/dW'.
  void set_masked(int id, const at::Tensor& masked) { entries_.at(id).masked = masked; }
  const at::Tensor& masked(int id) const { return entries_.at(id).masked; }

  void select(std::vector<Trainable>& trainables, double progress) const;
  /// Turns dL/dW' into gradients of weights and scores.
  void take_gradients(std::vector<Trainable>& trainables);
  /// `remaining` in [0, 1] scales the penalty of soft movement: 1 = none yet.
  void step(double remaining);
  /// The masks stay from now on.
  void finish() { active_ = false; }

  void save(std::map<std::string, HostTensor>& tensors) const;
  void load(const std::map<std::string, HostTensor>& tensors);

 private:
  struct Entry {
    at::Tensor scores;
    at::Tensor masked;
  };

  MovementSettings settings_;
  std::map<int, Entry> entries_;
  std::unique_ptr<Optimizer> optimizer_;
  bool active_ = true;
};

}  // namespace sparsify
