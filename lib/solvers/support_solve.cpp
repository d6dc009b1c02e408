// Exact least squares on a support: rows share one Hessian and differ in which columns they may use.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "solvers/kernels.h"
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

/// From here on factors are float32, which are twice as fast, and the solution is refined with float64 residuals.
constexpr int64_t kRefined = 32;
/// A correction that is smaller than this part of the solution leaves about its square.
constexpr double kSmallCorrection = 1e-6;
constexpr int kMostCorrections = 4;

struct RowSystem {
  const double* hessian;  ///< [columns, columns]
  int64_t columns;
  const double* cross;    ///< [columns]
  std::vector<int32_t> support;

  int64_t size() const { return static_cast<int64_t>(support.size()); }
};

struct Workspace {
  std::vector<double> matrix;
  std::vector<float> single;
  std::vector<float> right;
  std::vector<float> change;
  std::vector<double> whole;  ///< [columns]: the solution, zero where nothing is kept
  std::vector<double> packed; ///< [n]
  std::vector<double> residual;
};

/// residual = cross - H x on the support.
void find_residual(const RowSystem& system, Workspace& work) {
  const SolverKernels& kernels = solver_kernels();
  const int64_t n = system.size();
  const bool dense = 4 * n > system.columns;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t row = system.support[static_cast<size_t>(i)];
    const double* own = system.hessian + row * system.columns;
    work.residual[static_cast<size_t>(i)] =
        system.cross[row] - (dense ? kernels.dot(own, work.whole.data(), system.columns) : kernels.dot_at(own, system.support.data(), work.packed.data(), n));
  }
}

/// False: float32 does not do, because the system is close to singular.
bool solve_refined(const RowSystem& system, double* out, Workspace& work) {
  const SolverKernels& kernels = solver_kernels();
  const int64_t n = system.size();
  const int64_t padded = (n + SolverKernels::kLanes - 1) / SolverKernels::kLanes * SolverKernels::kLanes;
  const auto length = static_cast<size_t>(padded);
  work.single.assign(length * length, 0);
  work.right.resize(length);
  work.change.resize(length);
  work.residual.assign(static_cast<size_t>(n), 0);
  work.packed.assign(static_cast<size_t>(n), 0);
  work.whole.assign(static_cast<size_t>(system.columns), 0);
  for (int64_t i = 0; i < n; ++i) {
    const double* row = system.hessian + system.support[static_cast<size_t>(i)] * system.columns;
    float* own = work.single.data() + i * padded;
    for (int64_t j = i; j < n; ++j) own[j] = static_cast<float>(row[system.support[static_cast<size_t>(j)]]);
    work.residual[static_cast<size_t>(i)] = system.cross[system.support[static_cast<size_t>(i)]];
  }
  for (int64_t i = n; i < padded; ++i) work.single[static_cast<size_t>(i * padded + i)] = 1;
  if (!kernels.factor(work.single.data(), padded)) return false;
  for (int correction = 0; correction <= kMostCorrections; ++correction) {
    double largest = 0;
    for (const double value : work.residual) largest = std::max(largest, std::abs(value));
    if (!std::isfinite(largest)) return false;
    if (largest == 0) break;
    for (int64_t i = 0; i < padded; ++i) {
      work.right[static_cast<size_t>(i)] = i < n ? static_cast<float>(work.residual[static_cast<size_t>(i)] / largest) : 0;
    }
    kernels.substitute(work.single.data(), padded, work.right.data(), work.change.data());
    double moved = 0;
    double size = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      const double change = static_cast<double>(work.change[at]) * largest;
      work.packed[at] += change;
      work.whole[static_cast<size_t>(system.support[at])] = work.packed[at];
      moved += change * change;
      size += work.packed[at] * work.packed[at];
    }
    if (!std::isfinite(moved)) return false;
    if (correction > 0 && moved <= kSmallCorrection * kSmallCorrection * size) break;
    if (correction == kMostCorrections) return false;
    find_residual(system, work);
  }
  std::copy(work.whole.begin(), work.whole.end(), out);
  return true;
}

bool solve_row(const RowSystem& system, double* out, Workspace& work) {
  const int64_t n = system.size();
  if (n >= kRefined && solver_kernels().wide && solve_refined(system, out, work)) return true;
  work.matrix.resize(static_cast<size_t>(n * n + n));
  double* a = work.matrix.data();
  double* x = a + n * n;
  for (int64_t i = 0; i < n; ++i) {
    const double* row = system.hessian + system.support[static_cast<size_t>(i)] * system.columns;
    for (int64_t j = 0; j < n; ++j) a[i * n + j] = row[system.support[static_cast<size_t>(j)]];
    x[i] = system.cross[system.support[static_cast<size_t>(i)]];
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
  for (int64_t i = 0; i < n; ++i) out[system.support[static_cast<size_t>(i)]] = x[i];
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
    Workspace work;
    for (int64_t row = first; row < last; ++row) {
      RowSystem system{.hessian = hessians + row / group_rows * columns * columns, .columns = columns, .cross = crosses + row * columns, .support = {}};
      for (int64_t column = 0; column < columns; ++column) {
        if (keep[row * columns + column]) system.support.push_back(static_cast<int32_t>(column));
      }
      if (!system.support.empty() && !solve_row(system, weights + row * columns, work)) definite = false;
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
