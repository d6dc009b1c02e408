#pragma once

#include <string>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "pipeline/decide.h"
#include "solvers/correction.h"

namespace sparsify {

/// The solver that corrects what a cut leaves: that of the rules, else `least_squares` when the recipe's `repair` and data say so;
/// "none" otherwise.
///   throws  ConfigError when two rules name different ones, or when one chooses weights itself
Setting cut_solver(const Recipe& recipe);

/// Whether the weights that a cut leaves are corrected before it is carried out: a solver, or statistics.
bool wants_cut_repair(const Recipe& recipe);

/// The masked dense model, layer by layer: every Conv, Gemm and MatMul that lost inputs, or sees values that are not the dense
/// network's any more, is solved anew on what it keeps, against what the dense network has there (docs/structured.md). The masks stay
/// as they are.
///
///   folder  of the evidence: finished layers are kept in its `checkpoints/`
///   throws  ConfigError when there is no calibration data
Correction repair_cut(const ModelFile& file, const Recipe& recipe, const std::string& folder, bool resume, const Decisions& decisions);

}  // namespace sparsify
