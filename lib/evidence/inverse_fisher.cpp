#include "evidence/inverse_fisher.h"

#include <algorithm>

#include "mask/matrix_layout.h"

namespace sparsify {

InverseFisher::InverseFisher(const PrunableTensor& layer, int64_t block, double damping, int64_t gradients)
    : count_(layer.count()), gradients_(static_cast<double>(gradients)) {
  PrunableTensor seen = layer;
  if (seen.output_axis < 0) {  // one row of all weights
    seen.shape = {1, layer.count()};
    seen.output_axis = 0;
  }
  const MatrixLayout layout(seen);
  const int64_t width = block <= 0 ? layout.columns : block;
  for (int64_t row = 0; row < layout.rows; ++row) {
    for (int64_t first = 0; first < layout.columns; first += width) {
      Block& made = blocks_.emplace_back();
      for (int64_t column = first; column < std::min(first + width, layout.columns); ++column) made.weights.push_back(layout.flat(row, column));
      const size_t size = made.weights.size();
      made.inverse.resize(size * size);
      for (size_t i = 0; i < size; ++i) made.inverse[i * size + i] = 1 / damping;
      own_.resize(std::max(own_.size(), size));
    }
  }
  product_.resize(own_.size());
}

void InverseFisher::add(std::span<const double> gradient) {
  for (Block& block : blocks_) {
    const size_t size = block.weights.size();
    for (size_t i = 0; i < size; ++i) own_[i] = gradient[static_cast<size_t>(block.weights[i])];
    std::fill_n(product_.begin(), size, 0.0);
    for (size_t i = 0; i < size; ++i) {  // the matrix is symmetric: its rows are its columns
      const double factor = own_[i];
      const double* row = block.inverse.data() + i * size;
      for (size_t j = 0; j < size; ++j) product_[j] += factor * row[j];
    }
    double denominator = gradients_;
    for (size_t i = 0; i < size; ++i) denominator += own_[i] * product_[i];
    for (size_t i = 0; i < size; ++i) {
      const double factor = product_[i] / denominator;
      double* row = block.inverse.data() + i * size;
      for (size_t j = 0; j < size; ++j) row[j] -= factor * product_[j];
    }
  }
}

std::vector<double> InverseFisher::diagonal() const {
  std::vector<double> diagonal(static_cast<size_t>(count_));
  for (const Block& block : blocks_) {
    const size_t size = block.weights.size();
    for (size_t i = 0; i < size; ++i) diagonal[static_cast<size_t>(block.weights[i])] = block.inverse[i * size + i];
  }
  return diagonal;
}

}  // namespace sparsify
