#pragma once

#include <memory>
#include <string>

#include "base/module.h"
#include "base/registry.h"
#include "config/option_check.h"
#include "config/options.h"
#include "mask/prunable.h"
#include "patterns/pattern.h"

namespace sparsify {

struct LayerProblem;   // solvers/layer_problem.h: LibTorch tensors
struct LayerSolution;

/// What the least-squares problem of a layer is made of.
struct TargetOptions {
  /// The target is what the dense network has at this place, not what the dense weights make of the pruned input
  /// (asymmetric; docs/solvers.md).
  bool dense_target = true;
  /// The error that the shortcut brings to a residual Add is part of the target.
  bool shortcut = true;
  /// Biases (or the shift of BatchNormalization) are fitted with the weights.
  bool bias = true;
  /// Where the dense value is below zero in front of Relu, the share of the error of a value that is below zero as well that is forgiven:
  /// 1 lets it be anything below zero, 0 wants the dense value there as everywhere.
  double relu = 0;
  double damping = 0.01;  ///< lambda = damping * mean(diag H), pulls towards the dense weights
};

/// Reads `target`, `shortcut`, `bias`, `relu` and `damping`; `otherwise` are the solver's defaults.
TargetOptions read_target(const Options& options, const TargetOptions& otherwise);

/// Picks the mask of one layer and corrects the weights that stay. Pure: trains nothing, knows no other layer.
class Solver {
 public:
  static constexpr const char* kFamily = "solver";
  virtual ~Solver() = default;

  virtual TargetOptions target() const = 0;
  /// Why the solver cannot work with the pattern, or "".
  virtual std::string refuses(const Pattern& pattern) const;
  /// True if the mask is the solver's own; else it keeps that of the criterion.
  virtual bool picks_mask() const { return true; }
  /// Weights are zero outside the mask; the mask keeps as many units as the problem asks for.
  virtual LayerSolution solve(const LayerProblem& problem) const = 0;
};

/// Loads the torch part, where solvers live. throws ConfigError for an unknown name or option
inline std::unique_ptr<Solver> make_solver(const Setting& value, const std::string& path) {
  load_module("torch");
  const NamedOptions named = split_name(value, path);
  try {
    std::unique_ptr<Solver> solver = Registry<Solver>::instance().make(named.name, named.options);
    named.options.reject_unread();
    return solver;
  } catch (Error& error) {
    if (error.problem().where == Solver::kFamily) error.set_where(place_of(value.mark(), path));
    throw;
  }
}

}  // namespace sparsify
