#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "program/op.h"

namespace sparsify {

struct LayerNormalised {
  at::Tensor output;
  at::Tensor mean;               ///< float32 or float64, normalised axes kept as 1
  at::Tensor inverse_deviation;  ///< the same
};

/// LayerNormalization over the axes from attribute `axis` (default -1) on, with the node's `epsilon`.
///   scale, bias  broadcast to the input
///   statistics   fill mean and inverse_deviation too
LayerNormalised layer_normalise(const OpCall& call, const at::Tensor& input, const at::Tensor& scale,
                                const std::optional<at::Tensor>& bias, bool statistics);

/// The same without subtracting the mean (Zhang & Sennrich 2019).
LayerNormalised rms_normalise(const OpCall& call, const at::Tensor& input, const at::Tensor& scale, bool statistics);

}  // namespace sparsify
