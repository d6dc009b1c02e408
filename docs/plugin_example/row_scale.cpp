// An example of a solver: one number for every output. docs/plugins.md explains it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/where.h>

#include "solvers/layer_problem.h"
#include "sparsify_plugin.h"

namespace {

using namespace sparsify;

/// Keeps the criterion's mask and multiplies what stays of each output by the number that brings it nearest to its target:
/// a = (w B^T) / (w H w^T), the minimum of a^2 w H w^T - 2 a w B^T.
class RowScale final : public Solver {
 public:
  explicit RowScale(const Options& options) : target_(read_target(options, {})) {}

  TargetOptions target() const override { return target_; }
  bool picks_mask() const override { return false; }

  LayerSolution solve(const LayerProblem& problem) const override {
    const at::Tensor kept = problem.weights * problem.as_matrix(problem.mask);                // [O, columns]
    const at::Tensor rows = kept.view({problem.hessian.size(0), -1, kept.size(1)});           // [groups, O / groups, columns]
    const at::Tensor quadratic = (at::bmm(rows, problem.hessian) * rows).sum(-1).view({-1});  // [O]
    const at::Tensor linear = (kept * problem.cross).sum(-1);
    const at::Tensor scale = at::where(quadratic > 0, linear / quadratic, 1);
    return {problem.mask, kept * scale.unsqueeze(1)};
  }

 private:
  TargetOptions target_;
};

const RegisterPlugin<Solver, RowScale> entry{"row_scale", "keeps the criterion's mask and scales what stays of every output"};

}  // namespace

SPARSIFY_PLUGIN()
