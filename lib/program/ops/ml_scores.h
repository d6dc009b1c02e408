#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "program/op.h"

namespace sparsify {

/// `post_transform` of ai.onnx.ml: NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT over the last axis of [batch, classes].
at::Tensor post_transformed(const OpCall& call, const at::Tensor& scores, const std::string& transform);

/// Class names by index: `classlabels_strings`, or the integers of `integers_name`, or the indices themselves.
Value labels_at(const OpCall& call, std::string_view integers_name, const at::Tensor& indices);

}  // namespace sparsify
