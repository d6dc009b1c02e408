#include "report/wording.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "report/text.h"

namespace sparsify {

bool has_output(const RunReport& report) { return report.result && !report.result->path.empty(); }

std::string pruned_text(const RunReport& report) {
  const bool cut = !report.groups.empty();
  return fmt::format("{} of {} prunable weights are {}", with_commas(report.pruned), with_commas(report.prunable), cut ? "removed" : "zero");
}

std::string metric_value_text(const MetricResult& metric, double value) {
  return metric.unit == "%" ? fmt::format("{:.2f} %", value) : number_text(value);
}

std::string metric_change_text(const MetricResult& metric) {
  if (!metric.before || !metric.after) return "";
  const double change = *metric.after - *metric.before;
  if (metric.unit == "%") {
    const std::string text = fmt::format("{:+.2f}", change);
    return (text == "-0.00" ? "+0.00" : text) + " points";
  }
  return (change < 0 ? "" : "+") + number_text(change, 3);
}

bool metric_got_worse(const MetricResult& metric) {
  if (!metric.before || !metric.after) return false;
  return metric.higher_is_better ? *metric.after < *metric.before : *metric.after > *metric.before;
}

std::string gate_text(const GateResult& gate) {
  const char* side = gate.name.rfind("max", 0) == 0   ? " (at most)"
                     : gate.name.rfind("min", 0) == 0 ? " (at least)"
                                                      : "";
  return fmt::format("{}, limit {}{}", number_text(gate.actual, 7), number_text(gate.limit, 7), side);
}

std::vector<SkippedGroup> skipped_by_reason(const RunReport& report) {
  std::vector<SkippedGroup> groups;
  std::map<std::string, size_t> place;
  for (const LayerRow& row : report.layers) {
    if (!row.skipped) continue;
    const auto [found, is_new] = place.try_emplace(*row.skipped, groups.size());
    if (is_new) groups.push_back({.reason = *row.skipped, .rows = {}, .params = 0});
    SkippedGroup& group = groups[found->second];
    group.rows.push_back(&row);
    group.params += row.params;
  }
  return groups;
}

std::vector<const LayerRow*> pruned_rows(const RunReport& report) {
  std::vector<const LayerRow*> rows;
  for (const LayerRow& row : report.layers) {
    if (!row.skipped) rows.push_back(&row);
  }
  return rows;
}

std::string stage_name(const std::string& timing) {
  std::string name = printable(timing);
  if (name.size() > 2 && name.compare(name.size() - 2, 2, "_s") == 0) name.resize(name.size() - 2);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

std::string counted(size_t number, const char* one, const char* many) {
  return fmt::format("{} {}", number, number == 1 ? one : many);
}

}  // namespace sparsify
