#pragma once

#include <string>

#include "onnx/model_file.h"
#include "pipeline/decide.h"

namespace sparsify {

/// `plan.json`: which weights a run pruned, and of which graph. The masks lie in `masks.safetensors` beside it, whose
/// SHA-256 it holds; the graph is described by its nodes and tensors, not by its weights, so that the plan fits every
/// checkpoint of the same graph.
void write_plan(const std::string& folder, const ModelFile& file, const Decisions& decisions, bool overwrite);

/// The decisions for another checkpoint of the same graph.
/// throws ResourceError naming the first node or tensor that differs, or what is damaged in the plan or its masks
Decisions read_plan(const std::string& path, const ModelFile& file);

}  // namespace sparsify
