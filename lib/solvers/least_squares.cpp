// Least squares on the support: the criterion's mask stays, the kept weights of every output are solved again exactly.
// Hassibi & Stork 1993 (the joint form of their update): W[r, S] = H_SS^-1 B[r, S].
#include "solvers/layer_problem.h"

namespace sparsify {
namespace {

class LeastSquares final : public Solver {
 public:
  explicit LeastSquares(const Options& options) : target_(read_target(options, {})) {}

  TargetOptions target() const override { return target_; }
  bool picks_mask() const override { return false; }

  LayerSolution solve(const LayerProblem& problem) const override {
    const at::Tensor kept = problem.as_matrix(problem.mask);
    at::Tensor weights = solve_on_support(problem.hessian, problem.cross, kept);
    if (problem.refresh) weights = solve_on_support(problem.hessian, problem.refresh(weights, kept), kept);
    return {problem.mask, weights};
  }

 private:
  TargetOptions target_;
};

const Register<Solver, LeastSquares> entry{"least_squares", "keeps the criterion's mask and solves the kept weights exactly"};

}  // namespace
}  // namespace sparsify
