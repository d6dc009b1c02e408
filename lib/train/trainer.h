#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "data/loader.h"
#include "mask/prunable.h"
#include "onnx/model_file.h"
#include "parallel/process_group.h"
#include "tensor/bit_mask.h"
#include "train/history.h"
#include "train/settings.h"

namespace sparsify {

/// By tensor id. Weights are in the type and layout of the file.
using WeightMap = std::map<int, HostTensor>;
using MaskMap = std::map<int, BitMask>;

/// Masks that change while training, each by weights, gradients or scores that only the trainer has. SET: Mocanu et al.
/// 2018, doi:10.1038/s41467-018-04316-3; RigL: Evci et al. 2020, arXiv:1911.11134.
struct DynamicSettings {
  std::string grow = "gradient";  ///< gradient (RigL) or random (SET)
  double fraction = 0.3;          ///< of a layer's kept weights that are replaced at first; falls as a cosine
  int64_t every = 100;            ///< steps between two changes
  double end = 0.75;              ///< progress after which the masks stay
};

/// Sanh, Wolf & Rush 2020, "Movement Pruning", arXiv:2005.07683.
struct MovementSettings {
  bool soft = false;             ///< sigmoid(score) > threshold with a penalty, instead of the highest scores
  double lr = 1e-2;              ///< of the scores, whose optimizer is Adam
  double threshold = 0.1;        ///< of soft
  double penalty = 0;            ///< lambda of soft's regulariser at the end of the run
  double begin = 0.1;            ///< progress until which everything is kept
  double end = 0.8;              ///< progress from which the masks stay
  int64_t every = 10;            ///< steps between two choices
  std::map<int, int64_t> keep{}; ///< weights that each tensor keeps at the end (hard)
};

struct TrainTask {
  const ModelFile* file = nullptr;
  WeightMap start{};   ///< weights that differ from the file's
  MaskMap masks{};     ///< held from the first step on
  TrainSettings settings{};
  uint64_t seed = 0;
  int threads = 0;            ///< 0: LibTorch's own choice
  std::string device = "cpu";
  bool bfloat16 = false;  ///< products and convolutions; weights, gradients and optimizer state stay float32
  const DataSource* data = nullptr;
  const ModelFile* teacher = nullptr;

  /// Steps before which `new_masks` is asked, ascending.
  std::vector<int64_t> mask_steps{};
  /// Masks for the weights as they are at a step out of `total`.
  std::function<MaskMap(const WeightMap& weights, int64_t step, int64_t total)> new_masks{};
  std::optional<DynamicSettings> dynamic{};
  std::optional<MovementSettings> movement{};
  /// Masks are final from this progress on: only then is an epoch a candidate for the best.
  double final_masks_from = 0;

  /// The validation metric of weights; empty without validation data.
  std::function<double(const WeightMap& weights)> validate{};
  bool higher_is_better = true;
  std::string metric{};  ///< its name

  int64_t first_step = 0;                 ///< the schedule and the data begin here (rewinding)
  std::optional<int64_t> capture_step{};  ///< hand out the weights as they are before this step

  std::string task = "training";  ///< shown with the progress
  std::string checkpoints{};      ///< folder; "" = none are written
  std::map<std::string, std::string> identity{};  ///< what a checkpoint must belong to: model, recipe ...
  bool resume = false;            ///< from the newest checkpoint in the folder, if there is one

  /// Others that train with this process, each on its share of every step; null: alone. Only the first one's `start`, `masks`,
  /// `new_masks`, `validate`, `checkpoints` and `resume` are used; train() returns on the first one what it returns alone.
  ProcessGroup* processes = nullptr;
};

struct TrainResult {
  WeightMap weights{};   ///< all that changed, running statistics included
  MaskMap masks{};
  WeightMap captured{};  ///< see capture_step
  TrainHistory history{};
};

/// Trains the graph of an ONNX file. Pruned weights are +0.0 after every step, and their optimizer state is 0.
class Trainer {
 public:
  static constexpr const char* kFamily = "trainer";
  virtual ~Trainer() = default;

  /// throws ConfigError for settings that do not fit the model or the data; ResourceError for labels outside the output, for
  ///        a loss that is not finite and for unusable checkpoints; ExhaustedError naming a batch size to try;
  ///        InterruptedError after a checkpoint
  virtual TrainResult train(const TrainTask& task) = 0;
};

/// Loads the torch part if need be.
std::unique_ptr<Trainer> make_trainer();

/// Steps of a whole run, from the settings and the number of samples.
int64_t total_steps(const TrainSettings& settings, const DataSource& data);
int64_t steps_per_epoch(const TrainSettings& settings, const DataSource& data);

}  // namespace sparsify
