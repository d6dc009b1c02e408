#pragma once

#include "mask/prunable.h"

namespace sparsify {

/// A weight seen as a matrix [rows, columns]: a row is one output channel, its columns run over the other axes in stored
/// order. For a Conv (O, C, kh, kw) that is the stored layout; a MatMul (K, N) is transposed.
struct MatrixLayout {
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t inner = 1;  ///< consecutive columns that are consecutive in memory

  /// layer.output_axis >= 0
  explicit MatrixLayout(const PrunableTensor& layer) {
    const auto axis = static_cast<size_t>(layer.output_axis);
    rows = layer.shape[axis];
    for (size_t i = axis + 1; i < layer.shape.size(); ++i) inner *= layer.shape[i];
    columns = inner;
    for (size_t i = 0; i < axis; ++i) columns *= layer.shape[i];
  }

  /// Flat index of the stored element.
  int64_t flat(int64_t row, int64_t column) const {
    return (column / inner * rows + row) * inner + column % inner;
  }
};

}  // namespace sparsify
