// Least squares where whole inputs are gone: every row of a group has the same support, so that one factorisation serves all.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/zeros_like.h>

#include "solvers/layer_problem.h"

namespace sparsify {

std::optional<at::Tensor> solve_on_shared_support(const at::Tensor& hessian, const at::Tensor& cross, const at::Tensor& mask) {
  const int64_t groups = hessian.size(0);
  const int64_t columns = cross.size(1);
  const at::Tensor rows = mask.view({groups, -1, columns});
  const at::Tensor used = rows.any(1);      // [groups, columns]
  const at::Tensor present = rows.any(2);   // [groups, rows]
  if (!rows.eq(used.unsqueeze(1)).logical_or(present.unsqueeze(2).logical_not()).all().item<bool>()) return std::nullopt;
  const at::Tensor targets = cross.view({groups, -1, columns});
  at::Tensor out = at::zeros_like(targets);
  for (int64_t group = 0; group < groups; ++group) {
    const at::Tensor support = used[group].nonzero().view({-1});
    const at::Tensor outputs = present[group].nonzero().view({-1});
    if (support.numel() == 0) continue;
    const auto [lower, info] = at::linalg_cholesky_ex(hessian[group].index_select(0, support).index_select(1, support));
    if (info.item<int>() != 0) return std::nullopt;
    const at::Tensor right = targets[group].index_select(0, outputs).index_select(1, support);
    const at::Tensor solved = at::cholesky_solve(right.t().contiguous(), lower).t();
    at::Tensor block = at::zeros_like(targets[group].index_select(0, outputs));
    block.index_copy_(1, support, solved.contiguous());
    out[group].index_copy_(0, outputs, block);
  }
  return out.view_as(cross);
}

}  // namespace sparsify
