#pragma once

#include "solvers/kernels.h"
#include "solvers/layer_problem.h"
#include "solvers/moments.h"
#include "solvers/network_pair.h"

namespace sparsify {

/// Sets up the least-squares problem of one layer from what the two networks hold at it, and writes its solution into the
/// pruned one.
class LayerFit {
 public:
  /// Reads both networks at the site, once.
  ///   batches  how many to look at; 0 = all
  LayerFit(NetworkPair& networks, const LinearSite& site, const TargetOptions& options, size_t batches = 0);

  /// The problem without pattern, budget and mask. Refers to this object.
  LayerProblem problem();
  /// How much of the variance at the target is this layer's own: less than 1 where a shortcut adds to it.
  double own_part() const;
  /// ||W X - T||^2 / ||T||^2 over the calibration data; outputs count as much as they do behind BatchNormalization.
  double relative_error(const at::Tensor& weights) const;
  /// Writes the weights, and what the bias must become, into the parameters of the pruned network. Returns the ids written.
  std::vector<int> write_(const at::Tensor& weights);

 private:
  void collect(const at::Tensor* weights);
  at::Tensor target_rows(size_t batch, int64_t first, int64_t count, const at::Tensor& columns, const at::Tensor* weights) const;
  struct LayerValues {
    at::Tensor input{};
    at::Tensor dense{};  ///< at the target
    at::Tensor skip{};   ///< in the same shape; undefined: there is none
  };
  LayerValues values_at(size_t batch) const;
  std::vector<RetargetedOutput> outputs_with(const at::Tensor& shifts) const;
  bool collect_at_once(size_t batch);
  void refresh_convolution(const at::Tensor& weights, const at::Tensor& kept);
  void refresh_sparsely(const at::Tensor& weights, const at::Tensor& kept);
  void complete_rows();
  at::Tensor shift_for(const at::Tensor& weights) const;
  at::Tensor regularised_cross() const;
  Parameter& parameter(int id);

  NetworkPair& networks_;
  const LinearSite& site_;
  TargetOptions options_;
  size_t batches_;
  const AddedConstant* constant_ = nullptr;  ///< what moves with the bias
  Moments moments_;
  at::Tensor dense_weights_;  ///< [O, columns]
  at::Tensor divisor_;        ///< [O]: scale, with 1 where it is too small to divide by
  at::Tensor usable_;         ///< [O] bool: rows with a target of their own; the others keep what the dense weights give
  double lambda_ = 0;
};

}  // namespace sparsify
