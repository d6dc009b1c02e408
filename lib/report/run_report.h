#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sparsify {

/// Plain data of one run: every renderer shows these numbers and adds none.
struct ModelFigures {
  std::string path{};
  std::string sha256{};
  int64_t params = 0;      ///< elements of floating-point (and quantised) weights, each stored tensor once
  int64_t nonzero = 0;
  std::optional<int64_t> macs{};  ///< per sample; absent where shapes are unknown
  int64_t size_bytes = 0;       ///< with external data
  int64_t gzip_bytes = 0;       ///< 0 when not measured
};

struct LayerRow {
  std::string name{};
  std::string initializer{};
  std::string op{};
  std::vector<int64_t> shape{};
  std::string type{};         ///< float32
  int64_t params = 0;
  int64_t prunable = 0;     ///< weights in the scope of a rule; 0 when skipped
  int64_t kept = 0;
  std::optional<double> target{};
  double sparsity = 0;      ///< actual: zeros / params
  double sparsity_before = 0;
  std::optional<int64_t> macs{};
  std::string pattern{};      ///< "" when skipped
  std::optional<std::string> skipped{};  ///< the reason
  /// Of a corrected layer: ||W X - T||^2 / ||T||^2 on the calibration data, of the masked weights and of the corrected ones.
  std::optional<double> error_before{};
  std::optional<double> error{};
  std::optional<double> solve_s{};
  /// Of a layer whose inputs were reordered: share of its magnitude that N:M keeps in the given order and in the new one.
  std::optional<double> kept_magnitude_before{};
  std::optional<double> kept_magnitude{};
  std::vector<int64_t> shape_after{};    ///< of a tensor that was cut; empty: as before
};

/// Units that a structured run removed together.
struct GroupRow {
  std::string name{};
  std::string kind{};  ///< channel, head, layer
  int64_t units = 0;
  int64_t kept = 0;
};

struct MetricResult {
  std::string name{};
  std::optional<double> before{};
  std::optional<double> after{};
  int64_t samples = 0;
  bool higher_is_better = true;
  std::string unit{};  ///< "%" for accuracies, whose differences are in points; "" otherwise
  std::string data{};  ///< description of the data set
};

struct GateResult {
  std::string name{};
  double limit = 0;
  double actual = 0;
  bool passed = false;
};

struct VerificationResult {
  std::string check{};   ///< reload, zero_counts, kept_weights_unchanged, pattern, checker, outputs_equal ...
  bool passed = false;
  std::string detail{};  ///< what was compared, or the first difference
};

/// A mask drawn in the HTML report: rows = output channels, columns = fan-in, reduced to at most 96 x 160 cells
/// (report/mask_picture.h draws it).
struct MaskPicture {
  std::string initializer{};
  int rows = 0;
  int columns = 0;
  int64_t channels = 0;  ///< before the reduction: a cell stands for ceil(channels / rows) x ceil(fan_in / columns) weights
  int64_t fan_in = 0;
  std::vector<uint8_t> density{};  ///< rows * columns, 255 = all kept, 0 = all pruned
};

/// One epoch of training.
struct TrainingRow {
  int64_t step = 0;
  double epoch = 0;
  double loss = 0;
  double lr = 0;
  double sparsity = 0;
  std::optional<double> metric{};  ///< of the validation data
  double seconds = 0;              ///< since training began
};

struct TrainingSummary {
  std::vector<TrainingRow> epochs{};     ///< of the last round
  std::vector<double> round_sparsities{};  ///< of rounds of pruning and training; empty for one training
  int64_t samples = 0;         ///< seen, repetitions included
  double seconds = 0;
  double wait_seconds = 0;     ///< of these, for data
  std::string metric{};        ///< of the validation data; "" without
  std::optional<int64_t> best_epoch{};  ///< index into `epochs` of what was exported; nullopt: the last
  bool stopped_early = false;
  int64_t resumed = 0;
};

/// A value at which gradients end although weights lie behind it.
struct GradientCutRow {
  std::string value{};
  std::string node{};
  std::string op{};
  std::string reason{};
  std::vector<std::string> weights{};  ///< those that no gradient reaches at all
};

struct RunReport {
  std::string command{};      ///< as typed
  std::string started{};      ///< ISO 8601, UTC
  std::map<std::string, std::string> versions{};  ///< sparsify, LibTorch, ONNX, compiler
  ModelFigures model{};
  std::optional<ModelFigures> result{};
  double sparsity = 0;      ///< zeros / prunable of the result
  int64_t prunable = 0;
  int64_t pruned = 0;
  std::optional<MetricResult> metric{};
  std::vector<LayerRow> layers{};
  std::optional<TrainingSummary> training{};
  std::vector<GroupRow> groups{};  ///< of a structured run: those that lost units
  std::optional<std::vector<GradientCutRow>> gradient_cuts{};  ///< of a run that used gradients
  std::vector<GateResult> gates{};
  std::vector<VerificationResult> verification{};
  std::vector<std::pair<std::string, double>> timings{};  ///< seconds by stage, in order; total_s last
  std::vector<std::string> warnings{};
  std::vector<std::string> notes{};  ///< which runtime gains from the pattern
  std::vector<MaskPicture> pictures{};
  std::string recipe_yaml{};  ///< resolved
};

}  // namespace sparsify
