#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/registry.h"
#include "onnx/model_file.h"
#include "report/run_report.h"

namespace sparsify {

/// One line of the support matrix.
struct OperatorRow {
  std::string domain;    ///< "" = ai.onnx
  std::string name;
  std::vector<int> versions;  ///< of ai.onnx: the since_versions that models of opset 7 on can ask for
  std::string gradient;  ///< yes, some, no, or `through its body` for schema functions
  std::string notes;
};

/// What one model needs.
struct OperatorNeed {
  OperatorRow row;
  int nodes = 0;
  bool supported = true;
  std::string example;  ///< label of the first node
};

struct ModelNeeds {
  std::vector<OperatorNeed> operators;       ///< sorted by domain and name
  std::vector<GradientCutRow> gradient_cuts;  ///< values at which a gradient ends although weights lie behind
};

/// What the interpreter can run; lives in the torch part.
class OperatorCatalog {
 public:
  static constexpr const char* kFamily = "operator catalog";
  virtual ~OperatorCatalog() = default;

  virtual std::vector<OperatorRow> all() const = 0;
  virtual ModelNeeds needs(const ModelFile& file) const = 0;
};

/// Loads the torch part if need be.
std::unique_ptr<OperatorCatalog> make_operator_catalog();

/// The support matrix as the Markdown page docs/operators.md.
std::string operators_markdown(const std::vector<OperatorRow>& rows);

}  // namespace sparsify
