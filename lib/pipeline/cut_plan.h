#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "pipeline/cut_costs.h"
#include "pipeline/group_scores.h"
#include "structure/blocks.h"
#include "structure/cut.h"
#include "structure/structure.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// What a structured run removes, decided on the input's weights and ready to be carried out.
struct CutPlan {
  std::shared_ptr<const Structure> structure;
  Removed removed;
  std::vector<Block> blocks{};          ///< residual blocks that are replaced by their shortcuts
  Cut cut{};                            ///< the edits of both
  std::map<int, BitMask> masks{};       ///< of the masked dense model, by tensor id (set = kept)
  CutCosts::Figures before{};
  CutCosts::Figures after{};
  bool sizes_stated = true;  ///< the model or the user states all input sizes but the batch: the figures are the model's, not a probe's
  std::map<int, std::string> patterns{};  ///< tensor id -> pattern of the rule in whose scope it is, cut or not
  std::map<int, std::string> unscored{};  ///< tensor id -> why a rule that selects it leaves it alone
  std::vector<std::string> warnings{};
};

/// Whether a rule's pattern removes structure: channel, head, layer.
bool cuts(const PruneRule& rule);
bool cuts(const Recipe& recipe);

struct CutRequest {
  std::map<std::string, Shape> inputs{};  ///< whole input shapes, for the analysis and the counts
  /// A file of the same graph: units that it holds as zeros are gone already, and count towards the target. May be the planned file itself.
  const ModelFile* zeros = nullptr;
};

/// Analyses, scores, ranks and chooses, for all rules in turn. Changes nothing.
/// throws ConfigError: a rule that selects no group, rules of other patterns beside it, a budget that cannot be met (with the least
/// possible and what stands in the way)
CutPlan plan_cut(const ModelFile& file, const Recipe& recipe, const CutRequest& request = {});

/// The groups that the rules may cut, and what their criteria say of each.
struct ScoredGroups {
  std::shared_ptr<const Structure> structure;
  std::map<size_t, std::vector<double>> scores{};  ///< by index of the group: [units], least important lowest; empty where the criterion says nothing of it
  std::vector<std::string> warnings{};
};
/// Of the patterns channel and head. throws as plan_cut(); how much the rules remove is not looked at
ScoredGroups score_groups(const ModelFile& file, const Recipe& recipe, const CutRequest& request = {});

/// Removes the units that `request.zeros` holds as zeros, and no other.
CutPlan plan_zero_units(const ModelFile& file, const CutRequest& request);

/// The same removal on another checkpoint of the graph: units kept by group name, and blocks by name.
struct KeptUnits {
  std::string group{};
  int64_t units = 0;
  std::vector<int64_t> kept{};
};
CutPlan replay_cut(const ModelFile& file, const std::vector<KeptUnits>& groups, const std::vector<std::string>& blocks,
                   const CutRequest& request = {});
/// The groups of a plan that lose units.
std::vector<KeptUnits> kept_units(const CutPlan& plan);

}  // namespace sparsify
