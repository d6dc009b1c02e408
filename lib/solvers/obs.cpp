// Optimal Brain Surgeon, exact and row by row: always remove the weight whose loss costs least, and let the others make up
// for it. Hassibi & Stork 1993; Frantar, Singh & Alistarh 2022, "Optimal Brain Compression", arXiv:2208.11580 (ExactOBS).
//
//   p = argmin w_p^2 / [H^-1]_pp;   w -= H^-1[:, p] w_p / [H^-1]_pp;   H^-1 -= H^-1[:, p] H^-1[p, :] / [H^-1]_pp
//
// Rows share H but lose different weights. Unstructured: every row's sequence of losses is recorded and the cheapest
// removals over all rows are taken. The final weights are solved on the support at once, which the updates equal but for
// rounding.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <limits>
#include <queue>

#include "base/error.h"
#include "solvers/layer_problem.h"
#include "solvers/n_of_m_steps.h"

namespace sparsify {
namespace {

/// One row's removals: which column, and what it cost.
struct Trace {
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
  explicit Obs(const Options& options) : target_(read_target(options, {.dense_target = false, .shortcut = false, .bias = false})) {}

  TargetOptions target() const override { return target_; }

  std::string refuses(const Pattern& pattern) const override {
    const std::string name = pattern.describe();
    return name == "unstructured" || name == "per_row" || parse_n_of_m(name) ? "" : "obs removes single weights of a row, not " + name;
  }

  LayerSolution solve(const LayerProblem& problem) const override {
    const auto n_of_m = parse_n_of_m(problem.pattern->describe());
    const int64_t rows = problem.weights.size(0);
    const int64_t columns = problem.weights.size(1);
    const Quota quota = n_of_m ? quota_of(*problem.site, *n_of_m) : Quota{};
    int64_t removals = columns;
    if (n_of_m) {
      removals = 0;
      for (const int64_t left : quota.left) removals += left;
    }
    std::vector<Trace> traces(static_cast<size_t>(rows));
    const int64_t group_rows = problem.group_rows();
    for (int64_t group = 0; group < problem.hessian.size(0); ++group) {
      const auto [lower, info] = at::linalg_cholesky_ex(problem.hessian[group]);
      if (info.item<int>() != 0) {
        throw ResourceError{{.what = "the inputs of the layer do not determine its weights (singular Hessian)",
                             .where = "solver",
                             .fix = "use more calibration samples, or a larger damping"}};
      }
      const at::Tensor inverse = at::cholesky_inverse(lower).contiguous();
      // The unpruned solution: the dense weights, unless the target is the dense network's.
      const at::Tensor start = at::mm(problem.cross.narrow(0, group * group_rows, group_rows), inverse).contiguous();
      const double* matrix = inverse.data_ptr<double>();
      const double* weights = start.data_ptr<double>();
      at::parallel_for(0, group_rows, 1, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
          RowSurgeon surgeon({matrix, matrix + columns * columns}, {weights + row * columns, weights + (row + 1) * columns});
          traces[static_cast<size_t>(group * group_rows + row)] = surgeon.run(removals, quota);
        }
      });
    }
    BitMask mask = n_of_m ? mask_of(problem, traces) : problem.select(*problem.pattern, ranks(problem, traces), problem.keep);
    const at::Tensor solved = solve_on_support(problem.hessian, problem.cross, problem.as_matrix(mask));
    return {std::move(mask), solved};
  }

 private:
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
    for (size_t row = 0; row < traces.size(); ++row) {
      for (const int64_t column : traces[row].columns) {
        kept.data_ptr<bool>()[static_cast<int64_t>(row) * kept.size(1) + column] = false;
      }
    }
    return problem.as_mask(kept);
  }

  /// The order in which weights would go over all rows, always the cheapest next removal: later = higher score.
  static at::Tensor ranks(const LayerProblem& problem, const std::vector<Trace>& traces) {
    at::Tensor scores = at::empty(problem.weights.sizes(), at::kFloat);
    const double* scale = problem.row_scale.data_ptr<double>();
    using Next = std::tuple<double, int64_t, size_t>;  // cost, row (of equal costs the higher goes first), position
    std::priority_queue<Next, std::vector<Next>, std::greater<>> open;
    const auto push = [&](int64_t row, size_t position) {
      const Trace& trace = traces[static_cast<size_t>(row)];
      if (position < trace.costs.size()) open.emplace(trace.costs[position] * scale[row] * scale[row], -row, position);
    };
    for (int64_t row = 0; row < scores.size(0); ++row) push(row, 0);
    float rank = 0;
    while (!open.empty()) {
      const auto [cost, negative_row, position] = open.top();
      open.pop();
      scores.data_ptr<float>()[-negative_row * scores.size(1) + traces[static_cast<size_t>(-negative_row)].columns[position]] = rank;
      rank += 1;
      push(-negative_row, position + 1);
    }
    return scores;
  }

  TargetOptions target_;
};

const Register<Solver, Obs> entry{"obs", "removes the weight that costs least, again and again, exactly (ExactOBS)"};

}  // namespace
}  // namespace sparsify
