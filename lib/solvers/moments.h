#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "solvers/linear_site.h"

namespace sparsify {

/// Sums over samples and positions of a layer's inputs x and targets t (rows of z, before any constant is added). float64.
struct Moments {
  at::Tensor gram{};       ///< [groups, columns, columns]: x x^T
  at::Tensor input_sum{};  ///< [groups, columns]
  at::Tensor cross{};      ///< [O, columns]: t x^T
  at::Tensor target_sum{}; ///< [O]
  at::Tensor target_squares{};  ///< [O]
  double count = 0;        ///< samples times positions
};

/// Zeros, unless there is something already.
void prepare(const LinearSite& site, Moments& moments);

/// The target rows [O, n] of one chunk; `columns` are the chunk's inputs [groups, columns, n].
using TargetRows = std::function<at::Tensor(int64_t first, int64_t count, const at::Tensor& columns)>;

/// Adds one batch. Products are float32 over a chunk of some 10^4 positions and are summed in float64 (float64 inputs: float64).
///
///   input         value at the site's input slot
///   output_shape  of the layer's output for this batch
///   target        null: x x^T alone
///   with_gram     false: only what depends on the target
void add_moments(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                 const TargetRows& target, bool with_gram, Moments& moments);

}  // namespace sparsify
