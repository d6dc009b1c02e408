#pragma once

#include <vector>

#include "solvers/linear_site.h"

namespace sparsify {

/// How a convolution meets its input; one number a spatial axis.
struct ConvolutionGeometry {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> begin;  ///< padding; of ConvTranspose: cut from the output
};

///   input   [N, C, spatial...]
///   output  shape of the layer's output for it
ConvolutionGeometry geometry_of(const LinearSite& site, const Node& node, at::IntArrayRef input, at::IntArrayRef output);

}  // namespace sparsify
