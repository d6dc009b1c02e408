#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "pipeline/decide.h"
#include "tensor/shape.h"

namespace sparsify {

/// A layer as the gradual solver sees it.
struct SolverLayer {
  int64_t rows = 0;       ///< outputs
  int64_t columns = 0;    ///< inputs of one output
  int64_t groups = 1;
  int64_t positions = 1;  ///< outputs in space of one sample
  double density = 1;     ///< in the end
  int64_t steps = 12;     ///< from dense to there
  double gram = 1;        ///< share of columns^2 that X X^T costs: a 3x3 kernel meets 13 of its 81 pairs of places
  bool convolves = false; ///< taken to stand in front of Relu: each step computes its target anew, for the weights that are kept
};

/// What correcting a network costs; multiply-accumulates.
struct SolverWork {
  double solving = 0;  ///< Cholesky factors in single precision: rows * support^3 / 6 a step
  double passing = 0;  ///< matrix products in single precision: X X^T, T X^T, targets in front of Relu, both networks' layers
  double bytes = 0;    ///< of the widest layer's Hessian and what is made of it

  /// On one core, at the rates of measured runs (docs/solvers.md says how well it meets them).
  double cpu_seconds() const;
};

SolverWork gradual_work(const std::vector<SolverLayer>& layers, int64_t samples, double network_macs);

/// What `auto` spends at most.
inline constexpr double kSolverBudgetSeconds = 900;
inline constexpr double kSolverBudgetBytes = 4e9;

/// Decides for the rules whose solver is `auto`. `gradual` where calibration or training data are named, nothing trains or is cut
/// afterwards, no criterion but magnitude and no repair was asked for, and gradual_work() is within the budgets; else `none` (statistics are then
/// repaired where there are data). Returns what was chosen and why; "" where there was nothing to choose.
///   rules_apply  false: a plan or the zeros that are there decide, and `auto` is `none`
std::string choose_solver_(Recipe& recipe, const ModelFile& file, bool rules_apply, const std::map<std::string, Shape>& inputs);

/// A plan holds masks. Where calibration or training data are named (and nothing trains, repairs or was cut) its layers get the solver `least_squares`, which
/// solves what stays on those masks; returns what becomes of the weights, in a sentence.
std::string solve_plan_(const Recipe& recipe, Decisions& decisions);

}  // namespace sparsify
