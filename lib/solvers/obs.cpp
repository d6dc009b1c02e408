// Optimal Brain Surgeon, exact and row by row: always remove the weight whose loss costs least, and let the others make up
// for it. Hassibi & Stork 1993; Frantar, Singh & Alistarh 2022, "Optimal Brain Compression", arXiv:2208.11580 (ExactOBS).
//
//   p = argmin w_p^2 / [H^-1]_pp;   w -= H^-1[:, p] w_p / [H^-1]_pp;   H^-1 -= H^-1[:, p] H^-1[p, :] / [H^-1]_pp
//
// Rows share H but lose different weights. Unstructured: every row's sequence of losses is recorded and the cheapest
// removals over all rows are taken. The final weights are solved on the support at once, which the updates equal but for
// rounding. A row costs columns^3 and a copy of the inverse: of wide layers blocks of columns are gone through one by one, the
// others held as they are (H^-1 is then that of the block's H), and compete in the end; the support is solved over all of them.
// Blocks of R x C weights go as one (solvers/block_elimination.h).
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <limits>
#include <queue>

#include "base/interrupt.h"
#include "solvers/block_elimination.h"
#include "solvers/layer_problem.h"
#include "solvers/n_of_m_steps.h"

namespace sparsify {
namespace {

/// One row's removals in one block of columns: which column, and what it cost.
struct Trace {
  int64_t row = 0;
  std::vector<int64_t> columns;
  std::vector<double> costs;
};

/// Groups of columns of which only so many may go; empty = no such rule.
struct Quota {
  std::vector<int64_t> group_of;  ///< per column
  std::vector<int64_t> left;      ///< removals a group still allows
};

class RowSurgeon {
 public:
  /// `inverse` [n, n] and `weights` [n] are taken over.
  RowSurgeon(std::vector<double> inverse, std::vector<double> weights)
      : n_(static_cast<int64_t>(weights.size())), stride_(n_), inverse_(std::move(inverse)), weights_(std::move(weights)) {
    for (int64_t i = 0; i < n_; ++i) column_.push_back(i);
  }

  Trace run(int64_t removals, Quota quota) {
    Trace trace;
    for (int64_t step = 0; step < removals; ++step) {
      const int64_t best = cheapest(quota);
      if (best < 0) break;
      const auto at = static_cast<size_t>(best);
      trace.columns.push_back(column_[at]);
      trace.costs.push_back(weights_[at] * weights_[at] / inverse_[static_cast<size_t>(best * stride_ + best)]);
      if (!quota.left.empty()) --quota.left[static_cast<size_t>(quota.group_of[static_cast<size_t>(column_[at])])];
      remove(best);
    }
    return trace;
  }

 private:
  int64_t cheapest(const Quota& quota) const {
    int64_t best = -1;
    double lowest = std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < n_; ++i) {
      const auto at = static_cast<size_t>(i);
      if (!quota.left.empty() && quota.left[static_cast<size_t>(quota.group_of[static_cast<size_t>(column_[at])])] == 0) continue;
      const double cost = weights_[at] * weights_[at] / inverse_[static_cast<size_t>(i * stride_ + i)];
      // Of equal costs the higher column goes: the lower index is kept.
      if (cost < lowest || (cost == lowest && best >= 0 && column_[at] > column_[static_cast<size_t>(best)])) {
        lowest = cost;
        best = i;
      }
    }
    return best;
  }

  /// Updates what stays, then moves the last column into the gap: the matrix shrinks with every removal.
  void remove(int64_t p) {
    double* a = inverse_.data();
    const double pivot = a[p * stride_ + p];
    pivot_row_.assign(a + p * stride_, a + p * stride_ + n_);
    const double step = weights_[static_cast<size_t>(p)] / pivot;
    for (int64_t i = 0; i < n_; ++i) {
      const double factor = pivot_row_[static_cast<size_t>(i)] / pivot;
      double* row = a + i * stride_;
      for (int64_t k = 0; k < n_; ++k) row[k] -= factor * pivot_row_[static_cast<size_t>(k)];
      weights_[static_cast<size_t>(i)] -= pivot_row_[static_cast<size_t>(i)] * step;
    }
    const int64_t last = n_ - 1;
    if (p != last) {
      std::copy_n(a + last * stride_, n_, a + p * stride_);
      for (int64_t i = 0; i < n_; ++i) a[i * stride_ + p] = a[i * stride_ + last];
      weights_[static_cast<size_t>(p)] = weights_[static_cast<size_t>(last)];
      column_[static_cast<size_t>(p)] = column_[static_cast<size_t>(last)];
    }
    --n_;
  }

  int64_t n_;
  int64_t stride_;
  std::vector<double> inverse_;
  std::vector<double> weights_;
  std::vector<int64_t> column_;
  std::vector<double> pivot_row_;
};

class Obs final : public Solver {
 public:
  explicit Obs(const Options& options)
      : target_(read_target(options, {.dense_target = false, .shortcut = false, .bias = false})),
        block_(options.integer("block", 768, {.min = 1, .max = 1 << 20}, "columns whose removals see each other; a row costs columns * block^2")) {}

  TargetOptions target() const override { return target_; }

  std::string refuses(const Pattern& pattern) const override {
    const std::string name = pattern.describe();
    return name == "unstructured" || name == "per_row" || parse_n_of_m(name) || parse_block(name) ? "" : "obs removes weights, N:M groups or blocks, not " + name;
  }

  LayerSolution solve(const LayerProblem& problem) const override {
    if (const auto block = parse_block(problem.pattern->describe())) return solve_blocks(problem, *block);
    const auto n_of_m = parse_n_of_m(problem.pattern->describe());
    const int64_t rows = problem.weights.size(0);
    const int64_t columns = problem.weights.size(1);
    const Quota quota = n_of_m ? quota_of(*problem.site, *n_of_m) : Quota{};
    const int64_t width = n_of_m ? whole_groups(*problem.site, *n_of_m) : block_;
    const int64_t blocks = (columns + width - 1) / width;
    std::vector<Trace> traces(static_cast<size_t>(rows * blocks));
    const int64_t group_rows = problem.group_rows();
    for (int64_t group = 0; group < problem.hessian.size(0); ++group) {
      const at::Tensor start = unpruned(problem, group);
      const double* weights = start.data_ptr<double>();
      for (int64_t block = 0; block < blocks; ++block) {
        check_interrupt();
        const int64_t first = block * width;
        const int64_t count = std::min(width, columns - first);
        const at::Tensor inverse = at::cholesky_inverse(cholesky_factor(problem.hessian[group].narrow(0, first, count).narrow(1, first, count))).contiguous();
        const double* matrix = inverse.data_ptr<double>();
        const Quota own = part_of(quota, first, count);
        int64_t removals = n_of_m ? 0 : count;
        for (const int64_t left : own.left) removals += left;
        at::parallel_for(0, group_rows, 1, [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            const double* from = weights + row * columns + first;
            Trace& trace = traces[static_cast<size_t>((group * group_rows + row) * blocks + block)];
            trace = RowSurgeon({matrix, matrix + count * count}, {from, from + count}).run(removals, own);
            trace.row = group * group_rows + row;
            for (int64_t& column : trace.columns) column += first;
          }
        });
      }
    }
    BitMask mask = n_of_m ? mask_of(problem, traces) : problem.select(*problem.pattern, ranks(problem, traces), problem.keep);
    const at::Tensor solved = solve_on_support(problem.hessian, problem.cross, problem.as_matrix(mask));
    return {std::move(mask), solved};
  }

 private:
  LayerSolution solve_blocks(const LayerProblem& problem, const BlockSize& size) const {
    std::vector<at::Tensor> start;
    for (int64_t group = 0; group < problem.hessian.size(0); ++group) start.push_back(unpruned(problem, group));
    BitMask mask = problem.select(*problem.pattern, block_ranks(problem, at::cat(start), size, block_), problem.keep);
    const at::Tensor solved = solve_on_support(problem.hessian, problem.cross, problem.as_matrix(mask));
    return {std::move(mask), solved};
  }

  /// [rows of the group, columns]: the dense weights, unless the target is the dense network's.
  static at::Tensor unpruned(const LayerProblem& problem, int64_t group) {
    const at::Tensor cross = problem.cross.narrow(0, group * problem.group_rows(), problem.group_rows());
    return at::cholesky_solve(cross.t(), cholesky_factor(problem.hessian[group])).t().contiguous();
  }

  /// Columns of a block that cuts no group of M channels.
  int64_t whole_groups(const LinearSite& site, const NOfMNumbers& numbers) const {
    int64_t positions = 1;
    for (size_t axis = 2; axis < site.tensor.shape.size(); ++axis) positions *= site.tensor.shape[axis];
    const int64_t group = numbers.m * positions;
    return std::max<int64_t>(1, block_ / group) * group;
  }

  static Quota part_of(const Quota& all, int64_t first, int64_t count) {
    Quota part;
    if (all.left.empty()) return part;
    part.group_of.assign(all.group_of.begin() + first, all.group_of.begin() + first + count);
    part.left.assign(all.left.size(), 0);
    for (const int64_t group : part.group_of) part.left[static_cast<size_t>(group)] = all.left[static_cast<size_t>(group)];
    return part;
  }

  /// N:M groups run along the channels at one kernel position; a last group of r keeps min(N, r).
  static Quota quota_of(const LinearSite& site, const NOfMNumbers& numbers) {
    int64_t positions = 1;
    for (size_t axis = 2; axis < site.tensor.shape.size(); ++axis) positions *= site.tensor.shape[axis];
    const int64_t channels = site.columns / positions;
    const int64_t groups = (channels + numbers.m - 1) / numbers.m;
    Quota quota;
    quota.left.assign(static_cast<size_t>(groups * positions), 0);
    for (int64_t column = 0; column < site.columns; ++column) {
      const int64_t group = column / positions / numbers.m * positions + column % positions;
      quota.group_of.push_back(group);
      ++quota.left[static_cast<size_t>(group)];
    }
    for (int64_t& left : quota.left) left = std::max<int64_t>(0, left - numbers.n);
    return quota;
  }

  static BitMask mask_of(const LayerProblem& problem, const std::vector<Trace>& traces) {
    at::Tensor kept = at::ones(problem.weights.sizes(), at::kBool);
    for (const Trace& trace : traces) {
      for (const int64_t column : trace.columns) kept.data_ptr<bool>()[trace.row * kept.size(1) + column] = false;
    }
    return problem.as_mask(kept);
  }

  /// The order in which weights would go over all rows, always the cheapest next removal: later = higher score.
  static at::Tensor ranks(const LayerProblem& problem, const std::vector<Trace>& traces) {
    at::Tensor scores = at::empty(problem.weights.sizes(), at::kFloat);
    const double* scale = problem.row_scale.data_ptr<double>();
    // Cost, row (of equal costs the higher goes first), trace, position in it.
    using Next = std::tuple<double, int64_t, size_t, size_t>;
    std::priority_queue<Next, std::vector<Next>, std::greater<>> open;
    const auto push = [&](size_t index, size_t position) {
      const Trace& trace = traces[index];
      if (position < trace.costs.size()) open.emplace(trace.costs[position] * scale[trace.row] * scale[trace.row], -trace.row, index, position);
    };
    for (size_t index = 0; index < traces.size(); ++index) push(index, 0);
    float rank = 0;
    while (!open.empty()) {
      const auto [cost, negative_row, index, position] = open.top();
      open.pop();
      scores.data_ptr<float>()[-negative_row * scores.size(1) + traces[index].columns[position]] = rank;
      rank += 1;
      push(index, position + 1);
    }
    return scores;
  }

  TargetOptions target_;
  int64_t block_;
};

const Register<Solver, Obs> entry{"obs", "removes the weight that costs least, again and again, exactly (ExactOBS)"};

}  // namespace
}  // namespace sparsify
