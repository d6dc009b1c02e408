#pragma once

#include <memory>
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
  int64_t keep = 0;                ///< units of the pattern that stay
  Setting solver{"none"};          ///< as the recipe wrote it; a solver may choose another mask with as many units
  std::string solver_path{};       ///< `prune.0.solver`
  int share = -1;                  ///< layers of one number divide their budget by reconstruction error; -1: it stands
  int64_t floor = 0;               ///< least units
};

struct CutPlan;  // pipeline/cut_plan.h

struct Decisions {
  std::vector<Decision> decided;  ///< in node order
  std::vector<Skipped> skipped;   ///< not selected, or refused by the pattern
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  ///< why an allocation was chosen, how a budget was met
  /// Of a structured run: what is removed; the masks then say which elements of the dense tensors are left.
  std::shared_ptr<const CutPlan> cut{};
};

/// Before long work that comes first: every reason for which decide() would refuse the rules, and that data which a criterion needs is named.
/// throws ConfigError
void require_decidable(const ModelFile& file, const Recipe& recipe);

/// Score, allocate, select: for every rule of the recipe. Reads weights, changes nothing.
/// throws ConfigError for a rule that cannot be carried out (before any weight is read), ResourceError for weights that
///        are not finite
Decisions decide(const ModelFile& file, const Recipe& recipe);

}  // namespace sparsify
