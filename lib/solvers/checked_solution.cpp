#include "solvers/checked_solution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "patterns/checked_mask.h"

namespace sparsify {
namespace {

/// Row and column of the first element that is set.
std::string place_of_first(const at::Tensor& set) {
  const int64_t first = set.flatten().nonzero()[0].item<int64_t>();
  return fmt::format("row {}, column {}", first / set.size(1), first % set.size(1));
}

}  // namespace

LayerSolution checked_solution(const Solver& solver, const PluginName& name, const LayerProblem& problem) {
  const PrunableTensor& layer = problem.site->tensor;
  LayerSolution solution = call_plugin(name, [&] { return solver.solve(problem); });
  if (solution.mask.size() != layer.count()) {
    refuse_result(name, fmt::format("gives a mask of {} elements for \"{}\", which has {}", solution.mask.size(), layer.initializer, layer.count()));
  }
  if (!solver.picks_mask() && solution.mask != problem.mask) {
    refuse_result(name, fmt::format("changes the mask of \"{}\", which it leaves to the criterion (picks_mask)", layer.initializer));
  }
  if (solver.picks_mask()) require_kept(*problem.pattern, name, layer, solution.mask, problem.keep);
  const at::Tensor& weights = solution.weights;
  if (!weights.defined() || weights.sizes() != problem.weights.sizes() || weights.scalar_type() != at::kDouble) {
    const std::string given = weights.defined() ? fmt::format("{} [{}]", toString(weights.scalar_type()), fmt::join(weights.sizes(), ", ")) : "none";
    refuse_result(name, fmt::format("gives weights of \"{}\" that are {}, where Double [{}] was asked for", layer.initializer, given, fmt::join(problem.weights.sizes(), ", ")));
  }
  const at::Tensor finite = at::isfinite(weights);
  if (!finite.all().item<bool>()) refuse_result(name, fmt::format("gives a weight of \"{}\" that is not finite, at {}", layer.initializer, place_of_first(~finite)));
  const at::Tensor pruned = ~problem.as_matrix(solution.mask);
  const at::Tensor stray = weights.ne(0) & pruned;
  if (stray.any().item<bool>()) refuse_result(name, fmt::format("gives a weight of \"{}\" outside its mask that is not 0, at {}", layer.initializer, place_of_first(stray)));
  solution.weights = weights.masked_fill(pruned, 0);  // -0.0 as well
  return solution;
}

}  // namespace sparsify
