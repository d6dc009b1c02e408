#pragma once

#include <string>

#include "program/op.h"

namespace sparsify {

struct ConversionOptions {
  bool saturate = true;           ///< 8-bit floats: values out of range become the largest instead of NaN or infinity
  std::string round_mode = "up";  ///< to float8e8m0: up | down | nearest
};

/// Cast's conversion between any two types (tables in the schema of Cast-25). Floating-point results of integers go to
/// `device`, everything else stays where it is.
///   throws ResourceError for strings that are no numbers
Value converted(const Value& value, DType type, at::Device device, const ConversionOptions& options = {});

/// Rounds to the nearest float4e2m1 (ties to even); larger magnitudes and infinity become 6, NaN becomes -0.
at::Tensor rounded_to_float4(const at::Tensor& x);

/// Rounds to an 8-bit float type.
at::Tensor rounded_to_float8(const at::Tensor& x, DType type, bool saturate);

}  // namespace sparsify
