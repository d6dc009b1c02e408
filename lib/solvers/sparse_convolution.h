#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "solvers/kernels.h"
#include "solvers/linear_site.h"

namespace sparsify {

/// A convolution that has some of its weights, and what its target in front of Relu is for them: z = W x, target t(z), t x^T at the weights that
/// are there. Work is in proportion to the weights that are there, and an image stays in the cache from its first use to its last.
///
/// The input is held as planes, one a channel and phase of the strides, padded, so that a weight reads one plane at a fixed distance from the
/// output: the whole image is one run of numbers, of which those between two rows are nobody's output.
class SparseConvolution {
 public:
  /// Conv over one or two axes in float32.
  static bool fits(const LinearSite& site, const at::Tensor& input);

  ///   weights  [O, columns] float64, read where `kept` [O, columns] bool
  ///   outputs  [O]
  SparseConvolution(const LinearSite& site, const Step& step, const at::Tensor& weights, const at::Tensor& kept, std::vector<RetargetedOutput> outputs);

  /// Adds one batch, all contiguous float32: input [N, C, ...], what the dense network has behind the layer [N, O, ...], and the shortcut in the
  /// same shape, or an undefined tensor.
  void add(const at::Tensor& input, const at::Tensor& dense, const at::Tensor& skip);

  at::Tensor cross() const;    ///< [O, columns] float64: t x^T; zero where nothing is kept
  at::Tensor sums() const;     ///< [O] float64
  at::Tensor squares() const;  ///< [O] float64

 private:
  struct Layout {
    std::array<int64_t, 2> input{};      ///< height and width
    std::array<int64_t, 2> output{};
    std::array<int64_t, 2> strides{};
    std::array<int64_t, 2> begin{};
    std::array<int64_t, 2> plane{};      ///< height and width
    int64_t plane_size = 0;
    int64_t reach = 0;                   ///< rows of a plane that one row of outputs reads
    std::vector<std::array<int64_t, 2>> phases{};  ///< of the strides: those that a weight reads
    std::vector<int32_t> offsets{};      ///< per kept weight
  };
  struct Totals {
    std::vector<double> cross{};  ///< per kept weight
    std::vector<double> sums{};
    std::vector<double> squares{};
  };

  void lay_out(at::IntArrayRef input, at::IntArrayRef output);
  void fill(const float* image, int64_t channels, float* planes) const;
  void add_image(const float* input, const float* dense, const float* skip, std::vector<float>& planes, std::vector<float>& row, Totals& totals) const;

  const LinearSite& site_;
  const Step& step_;
  std::vector<RetargetedOutput> outputs_;
  std::vector<int64_t> starts_;   ///< [O + 1]: where the kept weights of an output start
  std::vector<int32_t> columns_;  ///< per kept weight
  std::vector<float> weights_;
  std::vector<int64_t> input_shape_;   ///< that the layout is for, without the batch
  std::vector<int64_t> output_shape_;
  Layout layout_;
  Totals totals_;
};

}  // namespace sparsify
