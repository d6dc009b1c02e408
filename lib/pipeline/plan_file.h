#pragma once

#include <string>

#include "onnx/model_file.h"
#include "pipeline/decide.h"
#include "pipeline/permute_stage.h"

namespace sparsify {

/// `plan.json`: which weights a run pruned, and of which graph. The masks lie in `masks.safetensors` beside it, whose
/// SHA-256 it holds; the graph is described by its nodes and tensors, not by its weights, so that the plan fits every
/// checkpoint of the same graph.
void write_plan(const std::string& folder, const ModelFile& file, const Decisions& decisions, bool overwrite,
                const std::vector<GroupOrder>& orders = {});

/// The decisions for another checkpoint of the same graph.
/// throws ResourceError naming the first node or tensor that differs, or what is damaged in the plan or its masks
///         (the masks are those of the model with its channels reordered, see read_plan_orders())
Decisions read_plan(const std::string& path, const ModelFile& file);

/// The order of the channels that the masks are for; empty: as they are.
/// throws ResourceError for a plan that cannot be read
std::vector<GroupOrder> read_plan_orders(const std::string& path);

}  // namespace sparsify
