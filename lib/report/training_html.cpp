#include "report/training_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "report/text.h"

namespace sparsify {

const char* const kTrainingStyle = R"css(
.training { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 18px 24px; }
.training h3 { font-size: 14px; font-weight: 600; }
.training svg { display: block; width: 100%; height: auto; font-size: 12px; margin-top: 4px; }
.training text { fill: var(--soft); } .training .grid { stroke: var(--line); stroke-width: 1; }
.training polyline { fill: none; stroke: var(--accent); stroke-width: 1.8; stroke-linejoin: round; }
.training circle { fill: var(--accent); } .training .best { fill: var(--panel); stroke: var(--accent); stroke-width: 2; }
)css";

namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr double kLeft = 72, kRight = 430, kTop = 10, kBottom = 150;
constexpr size_t kMost = 400;  ///< of a curve: more cannot be told apart

struct Curve {
  std::string title;
  std::string unit;        ///< of the horizontal axis
  Points points{};
  std::optional<size_t> best{};  ///< of `points`
};

Points finite(const Points& points) {
  Points kept;
  for (const auto& point : points) {
    if (std::isfinite(point.first) && std::isfinite(point.second)) kept.push_back(point);
  }
  if (kept.size() <= kMost) return kept;
  Points fewer;  // means of equally many neighbours
  for (size_t i = 0; i < kMost; ++i) {
    const size_t from = i * kept.size() / kMost;
    const size_t to = (i + 1) * kept.size() / kMost;
    double sum = 0;
    for (size_t k = from; k < to; ++k) sum += kept[k].second;
    fewer.emplace_back(kept[to - 1].first, sum / static_cast<double>(to - from));
  }
  return fewer;
}

struct Range {
  double low = 0;
  double high = 1;

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double part(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

Range range_of(const Points& points, bool of_values) {
  std::optional<Range> range;
  for (const auto& [x, y] : points) {
    const double value = of_values ? y : x;
    if (!range) range = Range{value, value};
    range->take(value);
  }
  return range.value_or(Range{});
}

std::string polyline(const Points& points, const Range& across, const Range& up) {
  if (points.size() < 2) return "";
  std::string text;
  for (const auto& [x, y] : points) {
    text += fmt::format("{:.1f},{:.1f} ", kLeft + across.part(x) * (kRight - kLeft), kBottom - up.part(y) * (kBottom - kTop));
  }
  return fmt::format("<polyline points=\"{}\"/>", text);
}

std::string drawn(const Curve& curve) {
  const Points points = finite(curve.points);
  if (points.empty()) return "";
  const Range across = range_of(points, /*of_values=*/false);
  const Range up = range_of(points, /*of_values=*/true);
  std::string svg;
  for (int step = 0; step <= 2; ++step) {
    const double y = kBottom - (kBottom - kTop) * step / 2;
    svg += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>", kLeft,
                       kRight, y, kLeft - 6, y + 4, number_text(up.low + (up.high - up.low) * step / 2, 3));
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} {}</text>", kLeft, kBottom + 16, number_text(across.low, 4), kRight,
                     kBottom + 16, curve.unit, number_text(across.high, 4));
  svg += polyline(points, across, up);
  for (size_t i = 0; i < points.size() && points.size() < kMost; ++i) {
    const bool best = curve.best == i && points.size() == curve.points.size();
    svg += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{} {}: {}{}</title></circle>", best ? "best" : "",
                       kLeft + across.part(points[i].first) * (kRight - kLeft), kBottom - up.part(points[i].second) * (kBottom - kTop), best ? 4 : 3, curve.unit,
                       number_text(points[i].first, 4), number_text(points[i].second, 5), best ? ", exported" : "");
  }
  return fmt::format("<div><h3>{0}</h3><svg viewBox=\"0 0 440 172\" role=\"img\" aria-label=\"{0} by {1}: from {2} to {3}\">{4}</svg></div>\n", escape_markup(curve.title),
                     curve.unit, number_text(points.front().second, 5), number_text(points.back().second, 5), svg);
}

template <class Value>
Points points_of(const std::vector<TrainingRow>& rows, const Value& value) {
  Points points;
  for (const TrainingRow& row : rows) {
    const std::optional<double> y = value(row);
    if (y) points.emplace_back(row.epoch, *y);
  }
  return points;
}

}  // namespace

std::string training_curves(const RunReport& report) {
  if (!report.training || report.training->epochs.empty()) return "";
  const TrainingSummary& training = *report.training;
  const auto loss = [](const TrainingRow& row) { return std::optional(row.loss); };
  const auto sparsity = [](const TrainingRow& row) { return std::optional(row.sparsity); };
  const auto lr = [](const TrainingRow& row) { return std::optional(row.lr); };
  std::string charts = drawn({.title = "Loss", .unit = "epoch", .points = points_of(training.epochs, loss), .best = {}});
  if (!training.metric.empty()) {
    std::optional<size_t> best;
    if (training.best_epoch) best = static_cast<size_t>(*training.best_epoch);
    charts += drawn({.title = training.metric + " of the validation data", .unit = "epoch",
                     .points = points_of(training.epochs, [](const TrainingRow& row) { return row.metric; }), .best = best});
  }
  charts += drawn({.title = "Sparsity of the masked weights", .unit = "epoch", .points = points_of(training.epochs, sparsity), .best = {}});
  charts += drawn({.title = "Learning rate", .unit = "epoch", .points = points_of(training.epochs, lr), .best = {}});
  return fmt::format("<section class=\"panel\" id=\"training\"><h2>Training</h2><p class=\"soft\">{} samples in {}, of which {} waiting for data{}{}</p>"
                     "<div class=\"training\">{}</div></section>\n",
                     with_commas(training.samples), duration_text(training.seconds), duration_text(training.wait_seconds),
                     training.round_sparsities.size() > 1 ? fmt::format("; curves of the last of {} rounds", training.round_sparsities.size()) : "",
                     training.stopped_early ? "; stopped early" : "", charts);
}

}  // namespace sparsify
