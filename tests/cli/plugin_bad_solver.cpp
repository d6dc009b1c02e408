// Solvers that break what docs/plugins.md says they must: each must be named with what it did.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>

#include <limits>
#include <stdexcept>

#include "solvers/layer_problem.h"
#include "sparsify_plugin.h"

namespace {

using namespace sparsify;

struct Bad : Solver {
  explicit Bad(const Options&) {}
  TargetOptions target() const override { return {}; }
  bool picks_mask() const override { return false; }
  static at::Tensor kept(const LayerProblem& problem) { return problem.weights * problem.as_matrix(problem.mask); }
};

struct NanWeights final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {problem.mask, at::full_like(problem.weights, std::numeric_limits<double>::quiet_NaN())}; }
};

struct OutsideMask final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {problem.mask, problem.weights}; }
};

struct OtherShape final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {problem.mask, kept(problem).t().contiguous()}; }
};

struct SinglePrecision final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {problem.mask, kept(problem).to(at::kFloat)}; }
};

struct NoWeights final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {problem.mask, at::Tensor()}; }
};

struct ShortMask final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {BitMask(3), kept(problem)}; }
};

struct OtherMask final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem& problem) const override { return {BitMask(problem.mask.size()), problem.weights}; }
};

struct KeepsEverything final : Bad {
  using Bad::Bad;
  bool picks_mask() const override { return true; }
  LayerSolution solve(const LayerProblem& problem) const override { return {BitMask(problem.mask.size()), problem.weights}; }
};

struct SolverThrows final : Bad {
  using Bad::Bad;
  LayerSolution solve(const LayerProblem&) const override { throw std::runtime_error("boom"); }
};

const RegisterPlugin<Solver, NanWeights> nan_weights{"nan_weights", "bad"};
const RegisterPlugin<Solver, OutsideMask> outside_mask{"outside_mask", "bad"};
const RegisterPlugin<Solver, OtherShape> other_shape{"other_shape", "bad"};
const RegisterPlugin<Solver, SinglePrecision> single_precision{"single_precision", "bad"};
const RegisterPlugin<Solver, NoWeights> no_weights{"no_weights", "bad"};
const RegisterPlugin<Solver, ShortMask> short_mask{"short_mask", "bad"};
const RegisterPlugin<Solver, OtherMask> other_mask{"other_mask", "bad"};
const RegisterPlugin<Solver, KeepsEverything> keeps_everything{"keeps_everything", "bad"};
const RegisterPlugin<Solver, SolverThrows> solver_throws{"solver_throws", "bad"};

}  // namespace

SPARSIFY_PLUGIN()
