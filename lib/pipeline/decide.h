#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "mask/prunable.h"
#include "onnx/model_file.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// What a run decides for one tensor.
struct Decision {
  PrunableTensor tensor{};
  std::string pattern{};            ///< `unstructured`, `2:4`, `block 4x1`
  Setting pattern_setting{};        ///< as the recipe wrote it, to check the finished mask independently
  std::optional<double> target{};   ///< sparsity asked of this layer: the rule's for uniform and N:M, the allocator's share for global
  BitMask mask{};                  ///< set = kept
};

struct Decisions {
  std::vector<Decision> decided;  ///< in node order
  std::vector<Skipped> skipped;   ///< not selected, or refused by the pattern
  std::vector<std::string> warnings;
};

/// Score, allocate, select: for every rule of the recipe. Reads weights, changes nothing.
/// throws ConfigError for a rule that cannot be carried out (before any weight is read), ResourceError for weights that
///        are not finite
Decisions decide(const ModelFile& file, const Recipe& recipe);

}  // namespace sparsify
