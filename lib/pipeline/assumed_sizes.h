#pragma once

#include <map>
#include <string>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "pipeline/cut_plan.h"

namespace sparsify {

/// A budget of macs or memory depends on sizes. Where only a run decides them, a cut goes on with the sizes that the analysis has assumed:
/// the plan's warnings then say which, what the figures are with them, and what could not be counted at all.
///   inputs  whole input shapes that the user has stated
void warn_of_assumed_sizes_(CutPlan& plan, const ModelFile& file, const Recipe& recipe, const std::map<std::string, Shape>& inputs);

/// `ids:1,8 mask:1,8`: as --input takes them; "" where all sizes but the batch are stated.
std::string assumed_sizes(const ModelFile& file, const Structure& structure, const std::map<std::string, Shape>& inputs);

}  // namespace sparsify
