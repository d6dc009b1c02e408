#include "solvers/backward_elimination.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sparsify {
namespace {

/// The rows and columns of one group of a reader, and which columns each unit has.
struct Part {
  at::Tensor inverse;  ///< [n, n]: H^-1 over the columns that are left
  at::Tensor weights;  ///< [rows, n]
  at::Tensor weight;   ///< [rows]
  std::vector<std::vector<int64_t>> columns;  ///< [units]
};

struct Candidate {
  size_t unit = 0;
  double cost = 0;
  double price = 0;
};

/// Lower triangle of a small positive definite [p, p] in place; false when it is not.
bool factor(std::vector<double>& a, size_t p) {
  for (size_t j = 0; j < p; ++j) {
    double diagonal = a[j * p + j];
    for (size_t k = 0; k < j; ++k) diagonal -= a[j * p + k] * a[j * p + k];
    if (!(diagonal > 0)) return false;
    diagonal = std::sqrt(diagonal);
    a[j * p + j] = diagonal;
    for (size_t i = j + 1; i < p; ++i) {
      double sum = a[i * p + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * p + k] * a[j * p + k];
      a[i * p + j] = sum / diagonal;
    }
  }
  return true;
}

/// tr(D W_g (H^-1_gg)^-1 W_g^T) with D the rows' weights.
double cost_of(const Part& part, const std::vector<int64_t>& columns) {
  const size_t p = columns.size();
  if (p == 0) return 0;
  const int64_t n = part.inverse.size(0);
  const double* inverse = part.inverse.data_ptr<double>();
  std::vector<double> block(p * p);
  for (size_t i = 0; i < p; ++i) {
    for (size_t j = 0; j < p; ++j) block[i * p + j] = inverse[columns[i] * n + columns[j]];
  }
  if (!factor(block, p)) return std::numeric_limits<double>::infinity();
  const double* weights = part.weights.data_ptr<double>();
  const double* weight = part.weight.data_ptr<double>();
  std::vector<double> y(p);
  double cost = 0;
  for (int64_t row = 0; row < part.weights.size(0); ++row) {
    double squares = 0;
    for (size_t i = 0; i < p; ++i) {
      double value = weights[row * n + columns[i]];
      for (size_t k = 0; k < i; ++k) value -= block[i * p + k] * y[k];
      y[i] = value / block[i * p + i];
      squares += y[i] * y[i];
    }
    cost += weight[row] * squares;
  }
  return cost;
}

/// The others take over what the columns did: W -= W_g M A^T and H^-1 -= A M A^T with A = H^-1[:, g], M = (H^-1_gg)^-1.
void remove_(Part& part, const std::vector<int64_t>& columns) {
  if (columns.empty()) return;
  const at::Tensor index = at::from_blob(const_cast<int64_t*>(columns.data()), {static_cast<int64_t>(columns.size())}, at::kLong);
  const at::Tensor a = part.inverse.index_select(1, index);
  const auto [lower, info] = at::linalg_cholesky_ex(a.index_select(0, index));
  if (info.item<int>() == 0) {
    const at::Tensor z = at::linalg_solve_triangular(lower, a.t(), /*upper=*/false);                                          // [p, n]
    const at::Tensor v = at::linalg_solve_triangular(lower, part.weights.index_select(1, index).t(), /*upper=*/false);  // [p, rows]
    part.inverse.addmm_(z.t(), z, 1, -1);
    part.weights.addmm_(v.t(), z, 1, -1);
  }
  // What is left of them are rounding errors.
  part.weights.index_fill_(1, index, 0);
  part.inverse.index_fill_(0, index, 0);
  part.inverse.index_fill_(1, index, 0);
}

at::Tensor inverse_of(const at::Tensor& hessian) {
  const auto [lower, info] = at::linalg_cholesky_ex(hessian);
  if (info.item<int>() == 0) return at::cholesky_inverse(lower).contiguous();
  throw ResourceError{{.what = "the inputs of a layer do not determine its weights (singular Hessian)",
                       .where = "the criterion reconstruction",
                       .fix = "use more calibration samples"}};
}

std::vector<Part> parts_of(const ReaderProblem& problem, int64_t units) {
  std::vector<Part> parts;
  const int64_t groups = problem.unit_of.size(0);
  const int64_t rows = problem.weights.size(0) / groups;
  for (int64_t g = 0; g < groups; ++g) {
    Part part{.inverse = problem.inverse.defined() ? problem.inverse[g].clone(at::MemoryFormat::Contiguous) : inverse_of(problem.hessian[g]),
              .weights = problem.weights.narrow(0, g * rows, rows).clone(),
              .weight = problem.row_weight.narrow(0, g * rows, rows).contiguous(),
              .columns = std::vector<std::vector<int64_t>>(static_cast<size_t>(units))};
    const at::Tensor unit_of = problem.unit_of[g].contiguous();
    const auto* unit = unit_of.data_ptr<int64_t>();
    for (int64_t column = 0; column < unit_of.numel(); ++column) {
      if (unit[column] >= 0) part.columns[static_cast<size_t>(unit[column])].push_back(column);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace

Elimination eliminate_backward(const EliminationGroup& group, std::vector<ReaderProblem>& problems, int64_t at_once) {
  std::vector<Part> parts;
  for (ReaderProblem& problem : problems) {
    for (Part& part : parts_of(problem, group.units)) parts.push_back(std::move(part));
    problem = {};
  }
  const auto remove_unit = [&](size_t unit) {
    for (Part& part : parts) remove_(part, part.columns[unit]);
  };
  std::vector<size_t> left;
  for (size_t unit = 0; unit < static_cast<size_t>(group.units); ++unit) {
    if (group.gone[unit]) remove_unit(unit);
    else if (!group.frozen[unit]) left.push_back(unit);
  }
  Elimination result;
  double error = 0;
  while (!left.empty()) {
    std::vector<Candidate> candidates;
    for (const size_t unit : left) {
      Candidate candidate{.unit = unit};
      for (const Part& part : parts) candidate.cost += cost_of(part, part.columns[unit]);
      candidate.price = candidate.cost / group.worth[unit];
      candidates.push_back(candidate);
    }
    // Among equal prices the lower unit is kept.
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.price != b.price ? a.price < b.price : a.unit > b.unit; });
    for (size_t i = 0; i < candidates.size() && i < static_cast<size_t>(at_once); ++i) {
      error += std::isfinite(candidates[i].cost) ? candidates[i].cost : 0;
      result.order.push_back(static_cast<int64_t>(candidates[i].unit));
      result.errors.push_back(error);
      remove_unit(candidates[i].unit);
      std::erase(left, candidates[i].unit);
    }
  }
  return result;
}

}  // namespace sparsify
