#pragma once

#include <optional>
#include <string>

#include "solvers/layer_problem.h"

namespace sparsify {

struct BlockSize {
  int64_t rows = 0;
  int64_t columns = 0;
};

/// `block 4x1`, as Pattern::describe() says it; nullopt for other patterns.
std::optional<BlockSize> parse_block(const std::string& description);

/// In which order blocks of a layer go when always the one is removed that costs least, and the weights of its rows that are left
/// make up for it (Optimal Brain Surgeon with blocks in place of weights: solvers/backward_elimination.h). Rows of a block lose the
/// same columns and share one inverse.
///
///   start   [O, columns]: the unpruned solution
///   window  columns whose removals see each other
///   result  [O, columns] float: a block's weights add up to its place in the order, the first to go being 0
///   throws  ResourceError when a Hessian is not positive definite
at::Tensor block_ranks(const LayerProblem& problem, const at::Tensor& start, const BlockSize& size, int64_t window);

}  // namespace sparsify
