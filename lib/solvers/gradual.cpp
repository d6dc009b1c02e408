// Gradual least squares: prune a little, solve what stays, choose again. The magnitude of a weight that was just solved
// says more about it than that of the dense one, and a target from the dense network keeps errors from adding up.
//
//   for k = 1..K:  mask = the n d^(k/K) largest |w| inside the mask;  W[r, S] = H_SS^-1 B[r, S] for every row
//
// N:M keeps M - k of every M in step k. Not a published method; nearest are OBC (arXiv:2208.11580) and ALPS
// (arXiv:2406.07831).
#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>
#include <fmt/core.h>

#include <cmath>

#include "solvers/layer_problem.h"
#include "solvers/n_of_m_steps.h"

namespace sparsify {
namespace {

class Gradual final : public Solver {
 public:
  explicit Gradual(const Options& options)
      : target_(read_target(options, {.relu = 1})),
        steps_(options.integer("steps", 12, {.min = 1, .max = 1000}, "density steps from dense to the target")),
        row_scale_(options.flag("row_scale", true, "compare weights of different outputs as BatchNormalization scales them")) {}

  TargetOptions target() const override { return target_; }

  LayerSolution solve(const LayerProblem& problem) const override {
    at::Tensor weights = problem.weights;
    at::Tensor cross = problem.cross;
    at::Tensor kept = weights == weights;
    const auto solve_kept = [&](const BitMask& mask) {
      kept = problem.as_matrix(mask);
      weights = solve_on_support(problem.hessian, cross, kept);
    };
    const auto scores = [&] {
      at::Tensor score = weights.abs();
      if (row_scale_) score = score * problem.row_scale.unsqueeze(1);
      return at::where(kept, score, at::full_like(score, -1));
    };
    BitMask mask;
    if (const auto n_of_m = parse_n_of_m(problem.pattern->describe())) {
      for (const auto& step : n_of_m_steps(*n_of_m)) {
        mask = problem.select(*step, scores(), problem.keep);
        solve_kept(mask);
        if (problem.refresh) cross = problem.refresh(weights, kept);
      }
    } else {
      const auto units = static_cast<double>(problem.pattern->units(problem.site->tensor));
      const double density = std::max(1.0, static_cast<double>(problem.keep)) / units;
      for (int64_t k = 1; k <= steps_; ++k) {
        const double share = std::pow(density, static_cast<double>(k) / static_cast<double>(steps_));
        const int64_t count = k == steps_ ? problem.keep : std::llround(units * share);
        mask = problem.select(*problem.pattern, scores(), count);
        solve_kept(mask);
        if (problem.refresh && k < steps_) cross = problem.refresh(weights, kept);
      }
    }
    for (int pass = 0; problem.refresh && pass < 2; ++pass) {
      cross = problem.refresh(weights, kept);
      weights = solve_on_support(problem.hessian, cross, kept);
    }
    return {mask, weights};
  }

 private:
  TargetOptions target_;
  int64_t steps_;
  bool row_scale_;
};

const Register<Solver, Gradual> entry{"gradual", "prunes in small steps and solves what stays after each, against the dense network"};

}  // namespace
}  // namespace sparsify
