#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "program/program.h"
#include "train/optimizer.h"
#include "train/trainer.h"

namespace sparsify {

/// A parameter that the optimizer moves.
struct Trainable {
  std::string name{};
  int id = -1;
  std::string kind{};    ///< weight, bias, norm, embedding, other
  Parameter* parameter = nullptr;
  at::Tensor master{};   ///< leaf; float32 where the file stores a narrower type
  at::Tensor pruned{};   ///< bool, true = pruned; undefined where nothing is masked
  at::Tensor average{};  ///< EMA of `master`; undefined when off
  double lr = 0;
  double weight_decay = 0;
  at::ScalarType stored = at::kFloat;  ///< type in the file

  bool is_narrow() const { return stored != master.scalar_type(); }
};

/// All floating-point weights, biases, norms and embeddings, but for running statistics (the program moves those itself), scales
/// of quantised weights and what the settings freeze. A tensor of another kind is trained if a group gives it an lr.
/// throws ConfigError when nothing is left, or a group matches nothing
std::vector<Trainable> find_trainables(const ModelFile& file, Program& program, const TrainSettings& settings);

at::Tensor pruned_tensor(const BitMask& mask, const at::Tensor& like);
BitMask bit_mask(const at::Tensor& kept);

}  // namespace sparsify
