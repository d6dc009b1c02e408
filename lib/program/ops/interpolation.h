#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "program/op.h"

namespace sparsify {

enum class Interpolation { Nearest, Linear, Cubic };

/// What a node says about all of its axes.
struct Resizing {
  Interpolation kernel = Interpolation::Nearest;
  std::string coordinates = "half_pixel";
  std::string nearest = "round_prefer_floor";
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
  double extrapolation = 0;
};

struct ResizedAxis {
  int64_t axis = 0;
  int64_t size = 0;  ///< of the input
  int64_t output = 0;
  float scale = 1;
  float roi_start = 0;  ///< used by tf_crop_and_resize, in fractions of the input
  float roi_end = 1;
};

/// Input 0 of the node, resized along `axes`; every axis is interpolated on its own.
/// Differentiable. throws ResourceError for a mode that the standard does not have
at::Tensor resized(const OpCall& call, const Resizing& resizing,
                   const std::vector<ResizedAxis>& axes);

}  // namespace sparsify
