#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/host_tensor.h"
#include "train/settings.h"

namespace sparsify {

/// One of LibTorch's optimizers over named parameters, with its state as named tensors.
class Optimizer {
 public:
  struct Item {
    std::string name;      ///< of its state in a checkpoint
    at::Tensor parameter;  ///< a leaf; its gradient is read
    double lr = 0;
    double weight_decay = 0;
  };

  Optimizer(const OptimizerSettings& settings, std::vector<Item> items);
  ~Optimizer();

  /// The learning rate of each item becomes its own times `factor`.
  void set_factor(double factor);
  void step();

  /// Clears the state where `pruned` is set: momentum would move the weight away from zero.
  void clear_state(size_t item, const at::Tensor& pruned);

  /// `state/<name>/momentum` ... ; load() takes what state() gave.
  void save(std::map<std::string, HostTensor>& tensors) const;
  void load(const std::map<std::string, HostTensor>& tensors);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparsify
