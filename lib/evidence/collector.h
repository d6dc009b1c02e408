#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/registry.h"
#include "data/loader.h"
#include "evidence/evidence.h"
#include "evidence/surroundings.h"
#include "mask/prunable.h"
#include "tensor/bit_mask.h"

namespace sparsify {

struct CollectorTask {
  const ModelFile* file = nullptr;
  std::vector<PrunableTensor> layers{};
  std::vector<Evidence> kinds{};  ///< wanted of each layer; parallel to `layers`
  EvidenceOptions options{};
  uint64_t seed = 0;
  std::string device = "auto";
  int threads = 0;  ///< 0: LibTorch's own choice
  bool bfloat16 = false;  ///< products and convolutions of the first-order passes
};

struct CollectedEvidence {
  std::vector<LayerEvidence> layers;  ///< parallel to CollectorTask::layers
  std::vector<std::string> warnings;  ///< where gradients end, what was replaced by what
};

/// Runs a model over calibration data, in evaluation mode, and collects everything that was asked for in one pass
/// (GradientFlow: two, because it needs the gradient of all data first). Memory: one batch, and 8 bytes a weight and kind
/// (InverseFisher: 8 x block bytes a weight).
class EvidenceCollector {
 public:
  static constexpr const char* kFamily = "evidence collector";
  virtual ~EvidenceCollector() = default;

  /// Once, before collect().
  virtual void open(const CollectorTask& task) = 0;

  /// `data` may be null where no kind is in kFromData. `masks` are in force while the model runs: parallel to the layers,
  /// or empty for none.
  /// throws ConfigError for a loss that the data cannot give, ResourceError for gradients that are not finite
  virtual CollectedEvidence collect(const DataSource* data, const std::vector<BitMask>& masks) = 0;
};

/// Loads the torch part if need be.
std::unique_ptr<EvidenceCollector> make_evidence_collector();

}  // namespace sparsify
