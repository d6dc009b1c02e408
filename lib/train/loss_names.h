#pragma once

#include <string>
#include <vector>

namespace sparsify {

/// What `train.loss` may name.
inline const std::vector<std::string>& loss_names() {
  static const auto* names = new std::vector<std::string>{"auto", "cross_entropy", "bce", "mse", "mae", "huber", "distill"};
  return *names;
}

}  // namespace sparsify
