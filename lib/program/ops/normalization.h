#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace sparsify {

struct LayerNormalised {
  at::Tensor output;
  at::Tensor mean;  ///< float32 or float64, normalised axes kept as 1; layer_normalise only
  at::Tensor inverse_deviation;  ///< the same
};

/// Normalises over all axes from `axis` on (Ba et al. 2016, arXiv:1607.06450).
///   scale, bias  broadcast to the input
///   axis         in [0, rank)
///   statistics   fill mean and inverse_deviation too
LayerNormalised layer_normalise(const at::Tensor& input, const at::Tensor& scale,
                                const std::optional<at::Tensor>& bias, int64_t axis, double epsilon,
                                bool statistics = false);

/// The same without subtracting the mean (Zhang & Sennrich 2019, arXiv:1910.07467).
LayerNormalised rms_normalise(const at::Tensor& input, const at::Tensor& scale, int64_t axis,
                              double epsilon, bool statistics = false);

}  // namespace sparsify
