#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "data/loader.h"
#include "mask/prunable.h"
#include "onnx/model_file.h"

namespace sparsify {

/// A weight that reads the units of a group along one of its stored axes.
struct UnitReader {
  PrunableTensor tensor{};
  int axis = 0;
  std::vector<std::vector<int64_t>> indices{};  ///< [units]: along the axis
};

struct EliminationGroup {
  std::string name{};
  int64_t units = 0;
  std::vector<bool> frozen{};  ///< [units]: these stay
  std::vector<bool> gone{};    ///< [units]: removed already, before all others
  std::vector<double> worth{}; ///< [units]: what going saves; the least loss for its worth goes first
  std::vector<UnitReader> readers{};
};

struct EliminationTask {
  std::vector<EliminationGroup> groups{};
  const DataSource* calibration = nullptr;
  int64_t samples = 0;  ///< the first of the data; 0 = all
  int64_t threads = 0;  ///< 0: LibTorch's own choice
  std::string device = "cpu";
};

/// In which order the units of one group go, and what is lost when the first of them are gone.
struct Elimination {
  std::vector<int64_t> order{};  ///< without frozen units and those that are gone
  /// [order.size()], rising: squared error that remains at the outputs of the readers once all their weights are solved again,
  /// as a share of the variance of the value at which they add up (behind BatchNormalization and a residual Add), summed over the readers.
  std::vector<double> errors{};
  std::string note{};  ///< why there is no order
};

/// Backward elimination on the dense network's Gram matrices (Hassibi & Stork 1993, by blocks of columns): with H = X X^T of a
/// reader's inputs, removing the columns g of W costs tr(W_g (H^-1_gg)^-1 W_g^T) if the others are solved again; the unit
/// that costs least for its worth goes, W and H^-1 are updated exactly, and so on. Lives in the torch part.
class EliminationEngine {
 public:
  static constexpr const char* kFamily = "elimination engine";
  virtual ~EliminationEngine() = default;

  /// Parallel to the task's groups. throws ResourceError for operators that cannot run, for data without samples
  virtual std::vector<Elimination> eliminate(const ModelFile& file, const EliminationTask& task) const = 0;
};

}  // namespace sparsify
