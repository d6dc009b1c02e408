#pragma once

#include <string>
#include <vector>

#include "report/run_report.h"

namespace sparsify {

/// What several renderers say in the same words.

/// A model was written.
bool has_output(const RunReport& report);

/// `37,376 of 42,112 prunable weights are zero`; of a cut they are removed: what is left need hold no zero.
std::string pruned_text(const RunReport& report);

/// `91.73 %`, `0.3121`
std::string metric_value_text(const MetricResult& metric, double value);

/// `-1.63 points` for a percentage, `+0.0442` otherwise; "" unless both values are there.
std::string metric_change_text(const MetricResult& metric);

/// after is worse than before (false when one of them is absent)
bool metric_got_worse(const MetricResult& metric);

/// `0.7, limit 0.5 (at most)`
std::string gate_text(const GateResult& gate);

/// Tensors that no rule took, by reason, in order of first appearance.
struct SkippedGroup {
  std::string reason;
  std::vector<const LayerRow*> rows;
  int64_t params = 0;
};
std::vector<SkippedGroup> skipped_by_reason(const RunReport& report);

/// Rows that a rule took, in node order.
std::vector<const LayerRow*> pruned_rows(const RunReport& report);

/// `load_s` -> `load`, `fine_tune_s` -> `fine tune`: the name of a stage without its unit.
std::string stage_name(const std::string& timing);

/// The last part of a path.
std::string file_name(const std::string& path);

/// `1 layer`, `54 layers`
std::string counted(size_t number, const char* one, const char* many);

}  // namespace sparsify
