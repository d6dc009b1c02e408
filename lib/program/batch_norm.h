#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <set>
#include <vector>

namespace sparsify {

/// This process's part of a batch that several processes run together: normalisation by the batch is by the whole of it.
struct BatchShare {
  std::function<void(at::Tensor&)> sum_{};  ///< of a float64 tensor on the CPU over all processes, in place; in one order everywhere
  bool counts = true;  ///< false: the samples are no part of the batch, this process only keeps step
};

/// What the operators of this thread's run of a program share, as at::GradMode says whether they record.
class BatchShareGuard {
 public:
  explicit BatchShareGuard(const BatchShare* share);
  ~BatchShareGuard();
  BatchShareGuard(const BatchShareGuard&) = delete;
  BatchShareGuard& operator=(const BatchShareGuard&) = delete;

  static const BatchShare* share();  ///< null: the batch is all there is

 private:
  const BatchShare* before_;
};

/// While one lives, BatchNormalizations of this thread's runs that read one of these tensors (scale or mean) normalise with the stored statistics
/// and leave them, whatever the others do in training.
class FixedNorms {
 public:
  explicit FixedNorms(const std::vector<at::Tensor>& tensors);
  ~FixedNorms();
  FixedNorms(const FixedNorms&) = delete;
  FixedNorms& operator=(const FixedNorms&) = delete;

  static bool contains(const at::Tensor& tensor);

 private:
  std::set<const void*> own_;
  const std::set<const void*>* before_;
};

struct NormalisedBatch {
  at::Tensor output;
  at::Tensor mean;      ///< [channels], of the batch; no gradient
  at::Tensor variance;  ///< likewise, of the population
};

/// (input - mean) / sqrt(variance + epsilon) * scale + bias with the batch's statistics (Ioffe & Szegedy 2015,
/// arXiv:1502.03167), differentiable.
///
///   input  [n, channels, positions...]
///   scale  [channels], and bias
///   share  null: the batch is all there is. Else gradients of scale and bias are this process's part of the sum
NormalisedBatch normalise_batch(const at::Tensor& input, const at::Tensor& scale, const at::Tensor& bias, double epsilon, const BatchShare* share);

}  // namespace sparsify
