// Exact least squares on a support: rows share one Hessian and differ in which columns they may use.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "solvers/layer_problem.h"

namespace sparsify {
namespace {

constexpr int64_t kBlock = 48;

/// Factors the lower triangle of a [n, n] (leading dimension n) in place, in blocks; false if it is not positive definite.
/// Small systems are where the time goes, and a call of LAPACK from many threads costs more than they do.
bool factor(double* a, int64_t n) {
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t stop = std::min(n, start + kBlock);
    for (int64_t j = start; j < stop; ++j) {
      double* row_j = a + j * n;
      double diagonal = row_j[j];
      for (int64_t k = start; k < j; ++k) diagonal -= row_j[k] * row_j[k];
      if (!(diagonal > 0)) return false;
      diagonal = std::sqrt(diagonal);
      row_j[j] = diagonal;
      const double inverse = 1 / diagonal;
      for (int64_t i = j + 1; i < n; ++i) {
        double* row_i = a + i * n;
        double sum = row_i[j];
        for (int64_t k = start; k < j; ++k) sum -= row_i[k] * row_j[k];
        row_i[j] = sum * inverse;
      }
    }
    // The rest: a[i, j] -= a[i, start:stop] . a[j, start:stop], four rows by four columns at a time.
    const int64_t depth = stop - start;
    for (int64_t i = stop; i < n; i += 4) {
      const int64_t height = std::min<int64_t>(4, n - i);
      for (int64_t j = stop; j <= i + height - 1; j += 4) {
        const int64_t width = std::min<int64_t>(4, n - j);
        if (height == 4 && width == 4) {
          double sums[4][4] = {};
          const double* x = a + i * n + start;
          const double* y = a + j * n + start;
          for (int64_t k = 0; k < depth; ++k) {
            for (int p = 0; p < 4; ++p) {
              for (int q = 0; q < 4; ++q) sums[p][q] += x[p * n + k] * y[q * n + k];
            }
          }
          for (int p = 0; p < 4; ++p) {
            for (int q = 0; q < 4; ++q) a[(i + p) * n + j + q] -= sums[p][q];
          }
          continue;
        }
        for (int64_t p = i; p < i + height; ++p) {
          for (int64_t q = j; q < j + width; ++q) {
            double sum = 0;
            for (int64_t k = start; k < stop; ++k) sum += a[p * n + k] * a[q * n + k];
            a[p * n + q] -= sum;
          }
        }
      }
    }
  }
  return true;
}

void substitute(const double* a, int64_t n, double* x) {
  for (int64_t i = 0; i < n; ++i) {
    double sum = x[i];
    for (int64_t k = 0; k < i; ++k) sum -= a[i * n + k] * x[k];
    x[i] = sum / a[i * n + i];
  }
  for (int64_t i = n; i-- > 0;) {
    x[i] /= a[i * n + i];
    for (int64_t k = 0; k < i; ++k) x[k] -= a[i * n + k] * x[i];
  }
}

/// From here on LAPACK's blocking gains more than its calls cost.
constexpr int64_t kLapack = 96;

bool solve_row(const double* hessian, int64_t columns, const std::vector<int64_t>& support, const double* cross, double* out,
               std::vector<double>& work) {
  const auto n = static_cast<int64_t>(support.size());
  work.resize(static_cast<size_t>(n * n + n));
  double* a = work.data();
  double* x = a + n * n;
  for (int64_t i = 0; i < n; ++i) {
    const double* row = hessian + support[static_cast<size_t>(i)] * columns;
    for (int64_t j = 0; j < n; ++j) a[i * n + j] = row[support[static_cast<size_t>(j)]];
    x[i] = cross[support[static_cast<size_t>(i)]];
  }
  if (n < kLapack) {
    if (!factor(a, n)) return false;
    substitute(a, n, x);
  } else {
    const at::Tensor matrix = at::from_blob(a, {n, n}, at::kDouble);
    const auto [lower, info] = at::linalg_cholesky_ex(matrix);
    if (info.item<int>() != 0) return false;
    const at::Tensor solved = at::cholesky_solve(at::from_blob(x, {n, 1}, at::kDouble), lower).contiguous();
    std::copy_n(solved.data_ptr<double>(), n, x);
  }
  for (int64_t i = 0; i < n; ++i) out[support[static_cast<size_t>(i)]] = x[i];
  return true;
}

}  // namespace

at::Tensor solve_on_support(const at::Tensor& hessian, const at::Tensor& cross, const at::Tensor& mask) {
  if (const std::optional<at::Tensor> shared = solve_on_shared_support(hessian, cross, mask)) return *shared;
  const int64_t rows = cross.size(0);
  const int64_t columns = cross.size(1);
  const int64_t group_rows = rows / hessian.size(0);
  const at::Tensor h = hessian.contiguous();
  const at::Tensor b = cross.contiguous();
  const at::Tensor kept = mask.contiguous();
  at::Tensor out = at::zeros_like(b);
  const double* hessians = h.data_ptr<double>();
  const double* crosses = b.data_ptr<double>();
  const bool* keep = kept.data_ptr<bool>();
  double* weights = out.data_ptr<double>();
  std::atomic<bool> definite{true};
  at::parallel_for(0, rows, 1, [&](int64_t first, int64_t last) {
    std::vector<double> work;
    std::vector<int64_t> support;
    for (int64_t row = first; row < last; ++row) {
      support.clear();
      for (int64_t column = 0; column < columns; ++column) {
        if (keep[row * columns + column]) support.push_back(column);
      }
      if (support.empty()) continue;
      if (!solve_row(hessians + row / group_rows * columns * columns, columns, support, crosses + row * columns,
                     weights + row * columns, work)) {
        definite = false;
      }
    }
  });
  if (!definite) {
    throw ResourceError{{.what = "the inputs of the layer do not determine its weights (singular Hessian)",
                         .where = "solver",
                         .fix = "use more calibration samples, or a larger damping"}};
  }
  return out;
}

}  // namespace sparsify
