#pragma once

#include <functional>
#include <string>
#include <vector>

#include "patterns/structured.h"
#include "pipeline/cut_costs.h"
#include "pipeline/group_scores.h"

namespace sparsify {

/// Chooses units of the groups that a rule takes, in order of their scores, until a target is met.
class CutChoice {
 public:
  struct Task {
    std::vector<size_t> groups{};     ///< indices of cuttable groups
    StructuredOptions options{};
    double min_density = 0;         ///< of each group
    double sparsity = -1;           ///< fraction of all units of the groups; < 0: by budget
    std::string budget{};             ///< macs, params, bytes, memory
    int64_t limit = 0;              ///< the most it may cost
    std::string where{};              ///< of the target in the recipe, for messages
  };

  CutChoice(const Structure& structure, const CutCosts& costs, GroupScorer& scorer) : structure_(structure), costs_(costs), scorer_(scorer) {}

  /// Adds to what `removed` names already. The last unit taken is needed: without it the target is not met.
  ///   start   what the target is counted from
  ///   throws  ConfigError when the target cannot be met, with the least possible
  Removed choose(const Task& task, const Removed& removed, const Removed& start);

 private:
  struct Unit {
    size_t group = 0;
    size_t unit = 0;
    double key = 0;
  };

  int64_t floor_of(const Task& task, const Group& group) const;
  int64_t kept_of(const Removed& removed, size_t group) const;
  std::vector<Unit> ranked(const Task& task, const Removed& removed);
  void rank_within_(const Task& task, std::vector<Unit>& units) const;
  std::vector<Unit> allowed(const Task& task, const Removed& removed, std::vector<Unit> ranked) const;
  Removed with_first(const Task& task, const Removed& removed, const std::vector<Unit>& units, size_t count, bool round = true) const;
  Removed step(const Task& task, const Removed& removed, double share, const Removed& start);
  Removed below_peak(const Task& task, const Removed& removed, const std::vector<Unit>& units, int64_t limit) const;
  Removed by_layer(const Task& task, const Removed& removed, const std::vector<Unit>& units, double share, const Removed& start) const;

  const Structure& structure_;
  const CutCosts& costs_;
  GroupScorer& scorer_;
};

/// What stops units of the structure from being removed: `its outputs are those of the graph (node "fc")`, most weights first, at
/// most `count`.
std::vector<std::string> main_obstacles(const Structure& structure, size_t count);

}  // namespace sparsify
