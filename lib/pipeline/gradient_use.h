#pragma once

#include <optional>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "report/run_report.h"

namespace sparsify {

/// Whether a rule's criterion looks at gradients.
bool scores_by_gradients(const Recipe& recipe);

/// What ends the gradients of a model, for the report of a run that uses them. Loads the torch part.
std::vector<GradientCutRow> gradient_cuts_of(const ModelFile& file);

/// One line for each cut that leaves weights without any gradient: training cannot move them.
std::vector<std::string> warnings_of(const std::vector<GradientCutRow>& cuts);

}  // namespace sparsify
