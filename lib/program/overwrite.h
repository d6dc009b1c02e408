#pragma once

#include <vector>

#include "program/executor.h"
#include "program/plan.h"

namespace sparsify {

/// If the step is a softmax over the last axis of a float32 tensor that ends with it and that nobody else holds, computes it there and
/// sets the output; else does nothing and says false. For inference on the CPU.
///   keep  slots that a tap asks for; may be empty
bool softmax_over_input(const Step& step, Frame& frame, const std::vector<bool>& keep);

}  // namespace sparsify
