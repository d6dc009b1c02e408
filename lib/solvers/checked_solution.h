#pragma once

#include "base/plugin_call.h"
#include "solvers/layer_problem.h"

namespace sparsify {

/// Solver::solve() with its solution checked: finite weights of the problem's shape, zero outside the mask, and as many units kept
/// as were asked for, those of the criterion's mask where the solver picks none.
/// throws ConfigError naming the plugin and the layer, also for what the plugin throws itself
LayerSolution checked_solution(const Solver& solver, const PluginName& name, const LayerProblem& problem);

}  // namespace sparsify
