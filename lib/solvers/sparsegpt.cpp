// SparseGPT: one pass over the columns; what a pruned weight did is taken over by the columns that are still to come.
// Frantar & Alistarh 2023, arXiv:2301.00774, algorithm 1. With U the upper Cholesky factor of H^-1 (H^-1 = U^T U):
//
//   score = w^2 / U_jj^2 over all rows of a block of columns;  err = w_j / U_jj for pruned w_j;  w[j:] -= err U[j, j:]
//
// Columns of a convolution run over (kernel position, channel), so that an N:M group is N:M consecutive columns; the
// paper's code flattens (channel, kernel position), where groups straddle positions. Blocks are chosen at once, before the pass.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "solvers/block_elimination.h"
#include "solvers/layer_problem.h"
#include "solvers/n_of_m_steps.h"

namespace sparsify {
namespace {

/// Columns in the order (kernel position, channel): [columns] int64.
at::Tensor column_order(const LinearSite& site) {
  int64_t positions = 1;
  if (site.kind != LinearSite::Kind::Product) {
    for (size_t axis = 2; axis < site.tensor.shape.size(); ++axis) positions *= site.tensor.shape[axis];
  }
  return at::arange(site.columns, at::kLong).view({-1, positions}).t().reshape({-1});
}

class SparseGpt final : public Solver {
 public:
  explicit SparseGpt(const Options& options)
      : target_(read_target(options, {.dense_target = false, .shortcut = false, .bias = false})),
        block_(options.integer("block", 128, {.min = 1, .max = 1 << 20}, "columns whose weights compete")) {}

  TargetOptions target() const override { return target_; }

  std::string refuses(const Pattern& pattern) const override {
    const std::string name = pattern.describe();
    return name == "unstructured" || parse_n_of_m(name) || parse_block(name) ? "" : "sparsegpt chooses single weights, N:M groups or blocks, not " + name;
  }

  LayerSolution solve(const LayerProblem& problem) const override {
    const LinearSite& site = *problem.site;
    const at::Tensor order = column_order(site);
    int64_t channels = site.columns;  // inputs of a group at one kernel position
    for (size_t axis = 2; axis < site.tensor.shape.size(); ++axis) channels /= site.tensor.shape[axis];
    const auto n_of_m = parse_n_of_m(problem.pattern->describe());
    const int64_t rows = problem.group_rows();
    at::Tensor weights = problem.weights.clone();
    const bool blocks = parse_block(problem.pattern->describe()).has_value();
    at::Tensor kept = blocks ? problem.as_matrix(blocks_of(problem, order)) : at::ones(weights.sizes(), at::kBool);
    int64_t seen = 0;
    int64_t given = 0;
    for (int64_t group = 0; group < site.groups; ++group) {
      const at::Tensor upper = upper_factor(problem, group, order);
      at::Tensor w = unpruned(problem, group, order, upper);
      at::Tensor keep = kept.narrow(0, group * rows, rows).index_select(1, order).contiguous();
      int64_t stop = 0;
      for (int64_t start = 0; start < site.columns; start = stop) {
        stop = std::min(site.columns, start + block_);
        if (n_of_m) {
          while (stop < site.columns && stop % channels % n_of_m->m != 0) ++stop;  // no group is cut
        } else if (!blocks) {
          seen += rows * (stop - start);
          const int64_t until = std::llround(static_cast<double>(problem.keep) * static_cast<double>(seen) / static_cast<double>(weights.numel()));
          choose(w, upper, start, stop, until - given, keep);
          given = until;
        }
        const at::Tensor errors = at::empty({rows, stop - start}, at::kDouble);
        sweep(w, upper, start, stop, n_of_m, channels, keep, errors);
        if (stop < site.columns) {
          w.narrow(1, stop, site.columns - stop).sub_(at::mm(errors, upper.narrow(0, start, stop - start).narrow(1, stop, site.columns - stop)));
        }
      }
      weights.narrow(0, group * rows, rows).index_copy_(1, order, w.masked_fill(keep.logical_not(), 0));
      kept.narrow(0, group * rows, rows).index_copy_(1, order, keep);
    }
    return {problem.as_mask(kept), weights};
  }

 private:
  static at::Tensor upper_factor(const LayerProblem& problem, int64_t group, const at::Tensor& order) {
    const at::Tensor hessian = problem.hessian[group].index_select(0, order).index_select(1, order).contiguous();
    return at::linalg_cholesky(at::cholesky_inverse(cholesky_factor(hessian)), /*upper=*/true).contiguous();
  }

  /// [rows of the group, columns] in that order: the dense weights, unless the target is the dense network's.
  static at::Tensor unpruned(const LayerProblem& problem, int64_t group, const at::Tensor& order, const at::Tensor& upper) {
    const at::Tensor cross = problem.cross.narrow(0, group * problem.group_rows(), problem.group_rows()).index_select(1, order);
    return at::mm(at::mm(cross, upper.t()), upper).contiguous();
  }

  /// Blocks lie across the columns of a sweep: they are chosen before it, by their sums of the same scores.
  static BitMask blocks_of(const LayerProblem& problem, const at::Tensor& order) {
    at::Tensor scores = at::empty(problem.weights.sizes(), at::kDouble);
    for (int64_t group = 0; group < problem.hessian.size(0); ++group) {
      const at::Tensor upper = upper_factor(problem, group, order);
      const at::Tensor scaled = unpruned(problem, group, order, upper) / upper.diagonal();
      scores.narrow(0, group * problem.group_rows(), problem.group_rows()).index_copy_(1, order, scaled.square());
    }
    return problem.select(*problem.pattern, scores, problem.keep);
  }

  /// Keeps the `count` highest of all rows and the block's columns; ties: lower row, then lower column.
  static void choose(const at::Tensor& w, const at::Tensor& upper, int64_t start, int64_t stop, int64_t count, at::Tensor& keep) {
    const at::Tensor scores = (w.narrow(1, start, stop - start) / upper.diagonal().narrow(0, start, stop - start)).square().contiguous();
    const double* score = scores.data_ptr<double>();
    std::vector<int64_t> order(static_cast<size_t>(scores.numel()));
    std::iota(order.begin(), order.end(), 0);
    const auto middle = order.begin() + std::clamp<int64_t>(count, 0, scores.numel());
    const auto better = [&](int64_t a, int64_t b) { return score[a] != score[b] ? score[a] > score[b] : a < b; };
    if (middle != order.end()) std::nth_element(order.begin(), middle, order.end(), better);
    for (auto pruned = middle; pruned != order.end(); ++pruned) {
      keep.data_ptr<bool>()[*pruned / (stop - start) * keep.size(1) + start + *pruned % (stop - start)] = false;
    }
  }

  /// Rows do not depend on each other: each goes through the block's columns alone.
  static void sweep(at::Tensor& w, const at::Tensor& upper, int64_t start, int64_t stop, const std::optional<NOfMNumbers>& n_of_m,
                    int64_t channels, at::Tensor& keep, const at::Tensor& errors) {
    const int64_t columns = w.size(1);
    double* weights = w.data_ptr<double>();
    bool* kept = keep.data_ptr<bool>();
    double* error = errors.data_ptr<double>();
    const double* factor = upper.data_ptr<double>();
    at::parallel_for(0, w.size(0), 4, [&](int64_t first, int64_t last) {
      std::vector<int64_t> group;
      for (int64_t row = first; row < last; ++row) {
        double* x = weights + row * columns;
        bool* stays = kept + row * columns;
        for (int64_t j = start; j < stop; ++j) {
          if (n_of_m && j % channels % n_of_m->m == 0) {
            const int64_t size = std::min(n_of_m->m, channels - j % channels);
            group.resize(static_cast<size_t>(size));
            std::iota(group.begin(), group.end(), j);
            const auto score = [&](int64_t k) { return std::abs(x[k] / factor[k * columns + k]); };
            std::stable_sort(group.begin(), group.end(), [&](int64_t a, int64_t b) { return score(a) > score(b); });
            for (int64_t k = std::min(n_of_m->n, size); k < size; ++k) stays[group[static_cast<size_t>(k)]] = false;
          }
          const double* u = factor + j * columns;
          const double e = stays[j] ? 0 : x[j] / u[j];
          error[row * (stop - start) + j - start] = e;
          if (e == 0) continue;
          for (int64_t k = j; k < stop; ++k) x[k] -= e * u[k];
        }
      }
    });
  }

  TargetOptions target_;
  int64_t block_;
};

const Register<Solver, SparseGpt> entry{"sparsegpt", "one pass over the columns, later ones take over what earlier ones did"};

}  // namespace
}  // namespace sparsify
