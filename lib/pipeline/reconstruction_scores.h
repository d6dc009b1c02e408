#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "pipeline/cut_costs.h"
#include "solvers/elimination.h"
#include "structure/structure.h"

namespace sparsify {

/// `criterion: reconstruction`: what the network loses with a unit, when the weights that read it are solved again (solvers/elimination.h),
/// for each MAC (parameter, byte) that goes with it. Removing units in the order of these scores until a budget is met is the
/// allocation that minimises the sum of the groups' errors under the budget: the score at which it stops is the Lagrange multiplier.
class ReconstructionScores {
 public:
  /// Runs the dense network over calibration data.
  ///   budget  a budget's kind; "": a unit costs 1
  ///   throws  ConfigError when there is no calibration data
  ReconstructionScores(const ModelFile& file, const Recipe& recipe, const Structure& structure, const CutCosts& costs, std::string budget,
                       const std::vector<size_t>& groups, const Removed& removed, int64_t samples);

  /// [units]; empty for a group of which nothing can be said.
  std::vector<double> score(size_t group, const Removed& removed) const;
  /// Why, for each of those.
  const std::map<size_t, std::string>& notes() const { return notes_; }

 private:
  /// [units]: what each unit takes with it; 0 where it cannot go or saves nothing.
  std::vector<double> savings(size_t group, const Removed& removed) const;

  const Structure& structure_;
  const CutCosts& costs_;
  std::string budget_;
  std::map<size_t, std::vector<double>> losses_;  ///< [units] of a group: slope of the convex hull of its error, by saving, where the unit goes
  std::map<size_t, std::vector<double>> worths_;  ///< [units]: savings that the slopes were taken by
  std::map<size_t, std::string> notes_;
};

/// Slopes of the largest convex function that begins at (0, 0) and lies below the points (sum of the widths so far, error): never
/// falling, one a step. [errors.size()]
std::vector<double> convex_slopes(const std::vector<double>& errors, const std::vector<double>& widths);

}  // namespace sparsify
