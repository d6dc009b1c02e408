#pragma once

#include <string>
#include <vector>

#include "program/program.h"

namespace sparsify {

/// Values at which a gradient ends although a weight lies behind, and the weights that no gradient reaches on any other
/// way either.
struct GradientEnds {
  std::vector<GradientCut> cuts;
  std::vector<std::vector<std::string>> weights;  ///< parallel to `cuts`
};

/// Found from the graph alone, nothing is run. A subgraph (If, Loop, Scan) counts as one node that passes gradients on.
GradientEnds find_gradient_ends(const Plan& plan);

}  // namespace sparsify
