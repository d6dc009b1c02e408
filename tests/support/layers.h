#pragma once

#include <string>

#include "mask/prunable.h"

namespace sparsify {

/// A weight in the layout of Conv and transposed Gemm: outputs first, then inputs.
inline PrunableTensor conv_layer(Shape shape, const std::string& name = "conv.weight") {
  PrunableTensor layer;
  layer.initializer = name;
  layer.layer = "/" + name;
  layer.op = "Conv";
  layer.kind = "weight";
  layer.type = DType::Float32;
  layer.shape = std::move(shape);
  layer.output_axis = 0;
  layer.input_axis = 1;
  return layer;
}

/// A MatMul weight [inputs, outputs].
inline PrunableTensor matmul_layer(int64_t inputs, int64_t outputs) {
  PrunableTensor layer = conv_layer({inputs, outputs}, "fc.weight");
  layer.op = "MatMul";
  layer.output_axis = 1;
  layer.input_axis = 0;
  return layer;
}

}  // namespace sparsify
