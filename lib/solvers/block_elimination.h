#pragma once

#include "solvers/layer_problem.h"
#include "tensor/block_size.h"

namespace sparsify {

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
