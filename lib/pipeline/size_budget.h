#pragma once

#include <map>
#include <string>

#include "allocators/allocator.h"
#include "config/recipe.h"
#include "onnx/model_file.h"

namespace sparsify {

/// What a model with zeros in it takes, in the measure of a budget:
///   params  weights that are not zero
///   macs    multiply-accumulates whose weight is not zero
///   bytes   of the weights, each tensor in the smallest of dense, bitmap and CSR (as in `sparsify inspect --storage`)
/// All tensors of the model count; those outside of the task as they are in the input.
class SizeBudget {
 public:
  /// throws ConfigError for MACs that cannot be counted because shapes are open, or for a kind that zeros do not serve
  SizeBudget(const ModelFile& file, const AllocationTask& task, const SparsityBudget& budget, std::string where);

  /// The most that may be kept of the layers in the task, by the allocator's way of sharing it out.
  ///   task    its sparsity is set to what was found
  ///   throws  ConfigError when even the floors are above the budget
  Budget fit(const Allocator& allocator, AllocationTask& task) const;

  /// `budget {params: 0.5}: 133,632 of 267,264 ... (0.5)`
  std::string describe(const AllocationTask& task, const Budget& budget) const;

 private:
  double with(const AllocationTask& task, const Budget& budget) const;
  double size_of(const PrunableTensor& tensor, int64_t nonzero) const;

  SparsityBudget budget_;
  std::string where_;
  std::map<int, double> macs_;  ///< by tensor id: multiply-accumulates per weight
  double whole_ = 0;            ///< of the input
  double others_ = 0;           ///< of what the task leaves alone
};

}  // namespace sparsify
