#pragma once

#include <string>
#include <vector>

namespace sparsify {

/// One graph whose gradients are compared with central differences.
struct GradientCase {
  std::string op;            ///< the operator it stands for; `com.microsoft.Gelu` for other domains
  std::string inputs;        ///< declarations in ONNX's text syntax; a gradient is expected for every one
  std::string body;          ///< nodes; `y`, and `z` if it occurs, are the outputs
  std::string constants{};   ///< initializers: what carries no gradient
  double low = -1.7;         ///< inputs are distinct numbers in [low, high], none at a kink
  double high = 1.9;
  int opset = 23;
  bool training = false;
  double step = 1e-6;        ///< of the differences; a multiple of the scale for straight-through gradients
  double tolerance = 1e-6;   ///< of the difference, against the largest gradient (at least 1)
};

/// One table a kind of operator, each in a file of its own.
std::vector<GradientCase> elementwise_gradient_cases();
std::vector<GradientCase> movement_gradient_cases();
std::vector<GradientCase> layer_gradient_cases();
std::vector<GradientCase> foreign_gradient_cases();

}  // namespace sparsify
