#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/renderers.h"
#include "report/run_report.h"

namespace sparsify {

/// What pruning one layer alone did to the model.
struct SensitivityPoint {
  std::string pattern{};           ///< `unstructured`, `2:4`
  std::optional<double> target{};  ///< sparsity asked for; absent where the pattern fixes it
  double sparsity = 0;             ///< of the layer: pruned / weights
  int64_t kept = 0;
  std::optional<double> metric{};
  std::optional<double> loss{};        ///< cross-entropy
  std::optional<double> divergence{};  ///< KL(dense || pruned), nats
  double relative_error = 0;           ///< of the outputs

  /// `0.9`, `2:4`, `block 4x1 0.9`: the same for all layers measured in the same way.
  std::string label() const;
};

struct SensitivityLayer {
  std::string name{};
  std::string initializer{};
  std::string op{};
  std::vector<int64_t> shape{};
  int64_t weights = 0;
  std::optional<int64_t> macs{};
  bool first = false;  ///< no weighted layer before it
  bool last = false;
  std::vector<SensitivityPoint> points{};
  std::vector<std::pair<std::string, std::string>> refused{};  ///< pattern, reason
};

/// Plain data of one `sensitivity` run; renderers add no numbers.
struct SensitivityReport {
  std::string command{};
  std::string started{};  ///< ISO 8601, UTC
  std::string version{};
  std::string model_path{};
  std::string model_sha256{};
  std::string data{};
  std::string criterion{};
  int64_t samples = 0;
  int64_t seed = 0;
  std::string metric_name{};  ///< "": no labels
  std::string metric_unit{};
  bool higher_is_better = true;
  std::optional<double> dense_metric{};
  std::optional<double> dense_loss{};
  std::vector<SensitivityLayer> layers{};                        ///< in node order
  std::vector<std::pair<std::string, std::string>> skipped{};    ///< initializer, reason
  std::vector<VerificationResult> verification{};                ///< restored
  std::vector<std::string> warnings{};
  double total_s = 0;
};

/// The figure that the views show: the metric where there are labels, else the divergence, else the relative error.
enum class SensitivityMeasure { Metric, Divergence, RelativeError };
SensitivityMeasure shown_measure(const SensitivityReport& report);
/// `top1`, `divergence`, `relative error`
std::string measure_name(const SensitivityReport& report, SensitivityMeasure measure);
std::optional<double> value_of(const SensitivityPoint& point, SensitivityMeasure measure);
/// How much worse than dense, 0 or more: the metric's loss, or the value itself.
double damage_of(const SensitivityReport& report, const SensitivityPoint& point, SensitivityMeasure measure);

/// Labels of all points, in the order of the first layer that has each.
std::vector<std::string> point_labels(const SensitivityReport& report);

/// The document of `sensitivity.json` and of `--json`: docs/sensitivity.md.
nlohmann::ordered_json to_json(const SensitivityReport& report);
std::string to_json_text(const SensitivityReport& report);
/// One line per layer and point, RFC 4180.
std::string to_csv(const SensitivityReport& report);
/// One page that needs nothing else: curves, heat maps, works without JavaScript.
std::string to_html(const SensitivityReport& report);
std::string to_terminal(const SensitivityReport& report, const TerminalOptions& options);

}  // namespace sparsify
