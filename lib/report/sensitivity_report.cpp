#include "report/sensitivity_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/text.h"
#include "report/text_table.h"

namespace sparsify {

std::string SensitivityPoint::label() const {
  if (!target) return pattern;
  const std::string amount = number_text(*target);
  return pattern == "unstructured" ? amount : pattern + " " + amount;
}

SensitivityMeasure shown_measure(const SensitivityReport& report) {
  if (!report.metric_name.empty()) return SensitivityMeasure::Metric;
  for (const SensitivityLayer& layer : report.layers) {
    for (const SensitivityPoint& point : layer.points) {
      if (point.divergence) return SensitivityMeasure::Divergence;
    }
  }
  return SensitivityMeasure::RelativeError;
}

std::string measure_name(const SensitivityReport& report, SensitivityMeasure measure) {
  if (measure == SensitivityMeasure::Metric) return report.metric_name;
  return measure == SensitivityMeasure::Divergence ? "divergence" : "relative error";
}

std::optional<double> value_of(const SensitivityPoint& point, SensitivityMeasure measure) {
  if (measure == SensitivityMeasure::Metric) return point.metric;
  if (measure == SensitivityMeasure::Divergence) return point.divergence;
  return point.relative_error;
}

double damage_of(const SensitivityReport& report, const SensitivityPoint& point, SensitivityMeasure measure) {
  const std::optional<double> value = value_of(point, measure);
  if (!value || std::isnan(*value)) return std::numeric_limits<double>::infinity();
  if (measure != SensitivityMeasure::Metric) return std::max(0.0, *value);
  const double change = *value - report.dense_metric.value_or(0);
  return std::max(0.0, report.higher_is_better ? -change : change);
}

std::vector<std::string> point_labels(const SensitivityReport& report) {
  std::vector<std::string> labels;
  for (const SensitivityLayer& layer : report.layers) {
    for (const SensitivityPoint& point : layer.points) {
      if (std::find(labels.begin(), labels.end(), point.label()) == labels.end()) labels.push_back(point.label());
    }
  }
  return labels;
}

namespace {

std::string number_or_empty(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? fmt::format("{}", *value) : "";
}

}  // namespace

std::string to_csv(const SensitivityReport& report) {
  std::string out = "name,initializer,op,shape,weights,macs,pattern,target,sparsity,kept,metric,loss,divergence,relative_error\r\n";
  for (const SensitivityLayer& layer : report.layers) {
    for (const SensitivityPoint& point : layer.points) {
      out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n", csv_field(layer.name), csv_field(layer.initializer), csv_field(layer.op),
                         shape_text(layer.shape), layer.weights, layer.macs ? std::to_string(*layer.macs) : "", csv_field(point.pattern),
                         number_or_empty(point.target), point.sparsity, point.kept, number_or_empty(point.metric),
                         number_or_empty(point.loss), number_or_empty(point.divergence), number_or_empty(point.relative_error));
    }
  }
  return out;
}

std::string to_terminal(const SensitivityReport& report, const TerminalOptions& options) {
  const SensitivityMeasure measure = shown_measure(report);
  const std::vector<std::string> labels = point_labels(report);
  std::vector<TextTable::Column> columns = {{.title = "layer", .flexible = true}, {.title = "weights", .right = true, .drop_order = 1}};
  for (const std::string& label : labels) columns.push_back({.title = label, .right = true});
  TextTable table(columns);
  for (const SensitivityLayer& layer : report.layers) {
    std::vector<TextTable::Cell> cells = {layer.name, short_count(layer.weights)};
    for (const std::string& label : labels) {
      const auto found = std::find_if(layer.points.begin(), layer.points.end(), [&](const auto& point) { return point.label() == label; });
      const auto value = found == layer.points.end() ? std::nullopt : value_of(*found, measure);
      cells.emplace_back(!value ? "-" : measure == SensitivityMeasure::Metric ? fmt::format("{:.2f}", *value) : number_text(*value, 3));
    }
    table.add_row(std::move(cells));
  }
  const char* what = measure == SensitivityMeasure::Metric       ? " with one layer pruned at a time"
                     : measure == SensitivityMeasure::Divergence ? " from the dense outputs (KL, nats) with one layer pruned at a time"
                                                                 : " of the outputs with one layer pruned at a time";
  std::string text = painted(measure_name(report, measure) + what, Paint::Bold, options.colour) + "\n";
  text += table.render(options.width, options.colour, options.utf8);
  if (report.dense_metric) {
    text += fmt::format("dense: {} {:.2f}{}", report.metric_name, *report.dense_metric, report.metric_unit.empty() ? "" : " " + report.metric_unit);
    if (report.dense_loss) text += fmt::format(", loss {}", number_text(*report.dense_loss, 4));
    text += "; ";
  }
  text += fmt::format("{} samples of {}, {}\n", with_commas(report.samples), options.utf8 ? printable(report.data) : to_ascii(report.data),
                      duration_text(report.total_s));
  if (!report.skipped.empty()) text += fmt::format("{} tensors were not measured (--json names them with the reason)\n", report.skipped.size());
  if (!options.html_path.empty()) text += "curves and heat maps: " + options.html_path + "\n";
  return text;
}

}  // namespace sparsify
