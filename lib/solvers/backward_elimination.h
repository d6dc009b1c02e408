#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "solvers/elimination.h"

namespace sparsify {

/// One reader's least-squares problem with its target being what it gives now. All float64.
struct ReaderProblem {
  at::Tensor hessian{};     ///< [groups, columns, columns], positive definite
  at::Tensor weights{};     ///< [O, columns]
  at::Tensor row_weight{};  ///< [O]: what a squared error of one output counts
  at::Tensor unit_of{};     ///< [groups, columns] int64: the unit that a column belongs to; -1: none
  at::Tensor inverse{};     ///< of the Hessian, where it is known already: then `hessian` is not looked at
};

/// The order of one group. The problems' tensors are used up.
///   at_once  units that go between two updates of the scores
Elimination eliminate_backward(const EliminationGroup& group, std::vector<ReaderProblem>& problems, int64_t at_once = 1);

}  // namespace sparsify
