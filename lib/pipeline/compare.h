#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/setting.h"
#include "data/loader.h"
#include "onnx/model_file.h"
#include "pipeline/structure_difference.h"
#include "runtimes/runtime.h"

namespace sparsify {

/// One output compared over all inputs.
struct OutputComparison {
  std::string name;
  double largest_difference = 0;
  double largest_value = 0;   ///< of the reference
  bool exact = false;         ///< integers, bool and strings: no tolerance
  int64_t first_batch = -1;   ///< where the tolerance was first exceeded; -1: never
  std::string problem;        ///< another shape or type; "" if none
  std::vector<double> by_batch;  ///< largest difference of each

  bool equal() const { return problem.empty() && first_batch < 0; }
  double relative() const { return largest_value > 0 ? largest_difference / largest_value : largest_difference; }
};

struct Comparison {
  std::vector<OutputComparison> outputs;
  StructureDifference structure;  ///< of two models
  int64_t samples = 0;
  double tolerance = 0;

  bool outputs_equal() const;
  /// Outputs and signatures: a model with other names or shapes does not take the other's place. Nodes may differ.
  bool passed() const { return outputs_equal() && structure.signature.empty(); }
};

struct CompareOptions {
  double tolerance = 1e-4;  ///< of floats, see allowed_difference(); finite and not negative
  std::string runtime = "libtorch";
  SessionOptions session{};
};

/// Why outputs are expected to differ: `of the weights of slim.onnx 70.0 % are zero, of resnet20.onnx 0.0 %`, or how many weights each
/// has; "" when both have as many.
std::string pruning_difference(const ModelFile& a, const ModelFile& b);

/// Runs both models on the same inputs.
Comparison compare_models(const ModelFile& a, const ModelFile& b, const DataSource& data, const CompareOptions& options);

/// Runs one model and compares with the outputs that the data set has recorded.
/// throws ConfigError when it has none
Comparison compare_with_recorded(const ModelFile& file, const DataSource& data, const CompareOptions& options);

/// Tensors of the file that break a pattern such as 2:4, by name with the first place; and how many obey it.
struct PatternCheck {
  int obeying = 0;
  std::vector<std::string> violations;
  std::vector<std::string> ineligible;  ///< with the reason
  int left_out = 0;                     ///< by the globs
};
/// Globs as in a rule's `select`: on names of weights and of the nodes that use them.
PatternCheck check_pattern(const ModelFile& file, const Setting& pattern, const std::vector<std::string>& include = {"*"},
                           const std::vector<std::string>& exclude = {});

}  // namespace sparsify
