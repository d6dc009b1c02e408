#include "solvers/block_elimination.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <tuple>
#include <utility>

#include "base/interrupt.h"
#include "solvers/backward_elimination.h"

namespace sparsify {
namespace {

/// The blocks of some rows in one window of columns.
struct Strip {
  int64_t top = 0;
  int64_t rows = 0;
  int64_t left = 0;
  int64_t columns = 0;
  Elimination order{};
};

/// The strip's rows as one problem for every group of the convolution that they belong to.
///   inverses  by group and first column of the window: [1, columns, columns]
std::vector<ReaderProblem> problems_of(const LayerProblem& problem, const at::Tensor& start, const Strip& strip, int64_t width,
                                       const std::map<std::pair<int64_t, int64_t>, at::Tensor>& inverses) {
  const at::Tensor unit_of = at::arange(strip.columns, at::kLong).div(width, "floor").unsqueeze(0);
  const int64_t group_rows = problem.group_rows();
  std::vector<ReaderProblem> problems;
  for (int64_t row = strip.top; row < strip.top + strip.rows;) {
    const int64_t group = row / group_rows;
    const int64_t count = std::min((group + 1) * group_rows, strip.top + strip.rows) - row;
    problems.push_back({.weights = start.narrow(0, row, count).narrow(1, strip.left, strip.columns).contiguous(),
                        .row_weight = problem.row_scale.narrow(0, row, count).square(),
                        .unit_of = unit_of,
                        .inverse = inverses.at({group, strip.left})});
    row += count;
  }
  return problems;
}

}  // namespace

at::Tensor block_ranks(const LayerProblem& problem, const at::Tensor& start, const BlockSize& size, int64_t window) {
  const int64_t rows = start.size(0);
  const int64_t columns = start.size(1);
  const int64_t whole = std::max<int64_t>(1, window / size.columns) * size.columns;  // cuts no block
  std::vector<Strip> strips;
  for (int64_t top = 0; top < rows; top += size.rows) {
    for (int64_t left = 0; left < columns; left += whole) {
      strips.push_back({.top = top, .rows = std::min(size.rows, rows - top), .left = left, .columns = std::min(whole, columns - left)});
    }
  }
  // All rows of a group begin with the same inverse.
  std::map<std::pair<int64_t, int64_t>, at::Tensor> inverses;
  for (int64_t group = 0; group < problem.hessian.size(0); ++group) {
    for (int64_t left = 0; left < columns; left += whole) {
      const int64_t count = std::min(whole, columns - left);
      inverses[{group, left}] = at::cholesky_inverse(cholesky_factor(problem.hessian[group].narrow(0, left, count).narrow(1, left, count))).unsqueeze(0);
    }
  }
  at::parallel_for(0, static_cast<int64_t>(strips.size()), 1, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // of the thread
    for (int64_t i = begin; i < end; ++i) {
      check_interrupt();
      Strip& strip = strips[static_cast<size_t>(i)];
      EliminationGroup group{.units = (strip.columns + size.columns - 1) / size.columns};
      group.frozen.assign(static_cast<size_t>(group.units), false);
      group.gone = group.frozen;
      group.worth.assign(static_cast<size_t>(group.units), 1);
      std::vector<ReaderProblem> problems = problems_of(problem, start, strip, size.columns, inverses);
      strip.order = eliminate_backward(group, problems);
    }
  });
  // Over all strips the cheapest next removal; of equal costs the lower strip stays.
  using Next = std::tuple<double, int64_t, size_t>;  // cost, -strip, place in its order
  std::priority_queue<Next, std::vector<Next>, std::greater<>> open;
  const auto push = [&](size_t index, size_t place) {
    const std::vector<double>& errors = strips[index].order.errors;
    if (place < errors.size()) open.emplace(errors[place] - (place == 0 ? 0 : errors[place - 1]), -static_cast<int64_t>(index), place);
  };
  for (size_t index = 0; index < strips.size(); ++index) push(index, 0);
  at::Tensor scores = at::zeros(start.sizes(), at::kFloat);
  for (int64_t rank = 0; !open.empty(); ++rank) {
    const auto [cost, negative, place] = open.top();
    open.pop();
    const auto index = static_cast<size_t>(-negative);
    const Strip& strip = strips[index];
    const int64_t left = strip.left + strip.order.order[place] * size.columns;
    const int64_t width = std::min(size.columns, columns - left);
    scores.narrow(0, strip.top, strip.rows).narrow(1, left, width).fill_(static_cast<double>(rank) / static_cast<double>(strip.rows * width));
    push(index, place + 1);
  }
  return scores;
}

}  // namespace sparsify
