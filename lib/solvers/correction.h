#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "data/loader.h"
#include "mask/prunable.h"
#include "onnx/model_file.h"
#include "solvers/solver.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// One pruned tensor as it was decided.
struct LayerTask {
  PrunableTensor tensor{};
  Setting pattern{};
  int64_t keep = 0;  ///< units of the pattern
  BitMask mask{};
  Setting solver{"none"};
  std::string solver_path{};  ///< `prune.0.solver`, for messages
  /// Layers of one number share their budgets: divided again by the error that each leaves. -1: the budget stands.
  int share = -1;
  int64_t floor = 0;  ///< least units, where the budget is divided again
};

struct CorrectionTask {
  std::vector<LayerTask> layers{};  ///< in node order
  /// Other tensors that are zero in parts: the norms and biases of removed channels, by id (set = kept).
  std::map<int, BitMask> held{};
  const DataSource* calibration = nullptr;
  int64_t threads = 0;  ///< 0: LibTorch's own choice
  std::string device = "cpu";
  /// Match statistics of every layer to the dense network's, after (or without) the solver.
  bool repair_statistics = false;
  /// A layer that cannot be solved is an event worth a warning: somebody asked for its solver.
  bool warn_unsolved = true;
  /// After each layer its result is written here, and found again by a run with the same fingerprint; "" = nowhere.
  std::string state_folder{};
  std::string fingerprint{};  ///< of everything that the results depend on
  bool resume = false;
};

/// What became of one layer.
struct LayerCorrection {
  int id = -1;
  BitMask mask{};
  int64_t keep = 0;  ///< units kept
  std::optional<double> error_before{};  ///< ||W X - T||^2 / ||T||^2 of the masked dense weights
  std::optional<double> error{};         ///< of the corrected ones
  double seconds = 0;
  std::string note{};  ///< why the layer was only masked; "" when it was corrected
  bool resumed = false;
};

struct Correction {
  std::vector<LayerCorrection> layers{};   ///< parallel to the task's
  std::map<int, HostTensor> tensors{};     ///< every tensor whose bytes changed, by id, masks applied, in its stored type
  std::vector<std::string> warnings{};
  std::vector<std::string> notes{};  ///< what was chosen on the way
  int64_t samples = 0;
};

/// Walks the network layer by layer, the dense and the pruned one side by side; lives in the torch part.
class CorrectionEngine {
 public:
  static constexpr const char* kFamily = "correction engine";
  virtual ~CorrectionEngine() = default;

  /// throws ResourceError for operators that cannot run, InterruptedError after the state of the last finished layer was written
  virtual Correction correct(const ModelFile& file, const CorrectionTask& task) const = 0;
};

}  // namespace sparsify
