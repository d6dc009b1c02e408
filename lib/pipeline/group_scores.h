#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "patterns/structured.h"
#include "structure/structure.h"

namespace sparsify {

/// Scores of the units of groups: what a criterion says of single weights, summed over each unit's slice of every member tensor,
/// joined over the members, and made comparable between groups. With |w|^2, mean and mean that is the group norm of DepGraph
/// (Fang et al. 2023, arXiv:2301.12900, eq. 4; as Torch-Pruning's GroupMagnitudeImportance has it).
///
/// Members that count: weights by which a unit is produced (Role::Output) and consumed (Role::Input), and scales of normalisations.
class GroupScorer {
 public:
  /// Scores of all weights of a tensor, float32 in the stored layout; valid until the next call. Empty: no say in the scores.
  using WeightScores = std::function<ScoreView(const PrunableTensor& tensor, std::vector<float>& buffer)>;

  /// `criterion`: `batchnorm_scale` |gamma| (Liu et al. 2017, arXiv:1708.06519), `geometric_median` the sum of distances to the other units
  /// of the group (He et al. 2019, arXiv:1811.00250), `random` by unit; anything else is asked through `weights`.
  ///   outputs_only  the criterion scores output channels: only the weights that produce a unit count
  GroupScorer(const ModelFile& file, const Structure& structure, std::string criterion, StructuredOptions options, uint64_t seed,
              WeightScores weights, bool outputs_only = false);

  /// [units], of the groups named by index; empty for a group that the criterion says nothing of (batchnorm_scale without a scale).
  /// Weights of units that `removed` names count as zero.
  std::map<size_t, std::vector<double>> score(const std::vector<size_t>& groups, const Removed& removed);

  /// [units] of a group for `criterion: reconstruction`, taken as they are; empty: nothing is said of the group.
  using UnitScores = std::function<std::vector<double>(size_t group, const Removed& removed)>;
  void set_unit_scores_(UnitScores scores) { unit_scores_ = std::move(scores); }

  /// Criteria that score units themselves, with a line of help each.
  static const std::map<std::string, std::string>& own_criteria();

 private:
  using AxisSums = std::map<std::pair<int, int>, std::vector<double>>;  // (tensor, axis) -> [length]

  bool counts(const Member& member) const;
  AxisSums sum_axes(const std::vector<size_t>& groups, const Removed& removed);
  std::vector<double> joined(const Group& group, const AxisSums& sums) const;
  std::vector<double> medians(const Group& group) const;
  void normalise_(std::vector<double>& scores, const std::vector<bool>& removed) const;

  const ModelFile& file_;
  const Structure& structure_;
  std::string criterion_;
  StructuredOptions options_;
  uint64_t seed_;
  WeightScores weights_;
  bool outputs_only_;
  UnitScores unit_scores_;
  std::map<int, PrunableTensor> tensors_;
  std::set<int> scales_;  ///< tensors that are the scale of a normalisation
};

}  // namespace sparsify
