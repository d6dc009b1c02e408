#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <span>

#include "base/plugin_call.h"
#include "solvers/linear_site.h"
#include "solvers/solver.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// The layer-wise problem: minimise ||W X - T||^2 + lambda ||W - W0||^2 with W zero outside a mask. All float64.
struct LayerProblem {
  const LinearSite* site = nullptr;
  const Pattern* pattern = nullptr;
  PluginName pattern_name{};   ///< for messages about it
  int64_t keep = 0;            ///< units (Pattern::units)
  BitMask mask{};              ///< the criterion's, in the stored layout
  at::Tensor weights{};        ///< [O, columns]: W0
  at::Tensor hessian{};        ///< [groups, columns, columns]: X X^T + lambda I; centred where the bias is fitted as well
  at::Tensor cross{};          ///< [O, columns]: T X^T + lambda W0
  at::Tensor row_scale{};      ///< [O]: what one unit of an output means behind BatchNormalization; > 0
  double target_energy = 0;    ///< ||T||^2 (centred likewise) with every output times its row_scale
  /// New `cross` for a target that depends on the solution, right where `kept` [O, columns] bool says that a weight may stay; null when it does not.
  std::function<at::Tensor(const at::Tensor& weights, const at::Tensor& kept)> refresh{};

  int64_t group_rows() const { return weights.size(0) / hessian.size(0); }

  /// The mask that keeps `keep` units of the pattern with the highest scores: [O, columns] -> mask in the stored layout.
  /// throws ConfigError for a mask that is none (patterns/checked_mask.h)
  BitMask select(const Pattern& by, const at::Tensor& scores, int64_t count) const;
  /// [O, columns] bool.
  at::Tensor as_matrix(const BitMask& stored) const;
  BitMask as_mask(const at::Tensor& matrix) const;
};

struct LayerSolution {
  BitMask mask{};
  at::Tensor weights{};  ///< [O, columns] float64
};

/// Lower triangle L with L L^T = hessian. throws ResourceError when that is not positive definite
at::Tensor cholesky_factor(const at::Tensor& hessian);

/// Minimises every row on its support: W[r, S] = H_SS^-1 B[r, S], zero elsewhere.
///
///   hessian  [groups, columns, columns], positive definite
///   cross    [O, columns]
///   mask     [O, columns] bool
///   throws   ResourceError when a Hessian is not positive definite
at::Tensor solve_on_support(const at::Tensor& hessian, const at::Tensor& cross, const at::Tensor& mask);

/// The same where all rows of a group that have a support have the same one, as when whole inputs are removed: one factorisation
/// a group. nullopt: they differ, or a Hessian is not positive definite.
std::optional<at::Tensor> solve_on_shared_support(const at::Tensor& hessian, const at::Tensor& cross, const at::Tensor& mask);

/// sum over rows of s^2 (w H w^T - 2 w B^T): the objective but for a constant.
double quadratic_objective(const LayerProblem& problem, const at::Tensor& weights);

}  // namespace sparsify
