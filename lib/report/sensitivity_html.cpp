#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html_page.h"
#include "report/sensitivity_report.h"
#include "report/text.h"
#include "report/wording.h"

namespace sparsify {
namespace {

constexpr const char* kStyle = R"css(
.curves { display: block; width: 100%; height: auto; margin-top: 8px; font-size: 12px; }
.curves text { fill: var(--soft); } .curves .grid { stroke: var(--line); stroke-width: 1; }
.curves .curve { fill: none; stroke: var(--soft); stroke-width: 1.3; opacity: .45; stroke-linejoin: round; }
.curves .dot { fill: var(--soft); opacity: .6; }
.curves g.loud .curve { stroke: var(--ink); stroke-width: 2; opacity: 1; } .curves g.loud .dot { fill: var(--ink); opacity: 1; }
.curves g:hover .curve { stroke: var(--text); stroke-width: 3; opacity: 1; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; margin-top: 6px; }
.legend span { overflow-wrap: anywhere; } .legend span::before { content: ""; display: inline-block; width: 16px; height: 3px; margin-right: 7px; vertical-align: 3px; background: var(--ink); }
.ink0 { --ink: #d9480f; } .ink1 { --ink: #9c36b5; } .ink2 { --ink: #1971c2; } .ink3 { --ink: #2b8a3e; } .ink4 { --ink: #b08800; }
@media (prefers-color-scheme: dark) { .ink0 { --ink: #ff8c5a; } .ink1 { --ink: #d58cf0; } .ink2 { --ink: #6cb4f5; } .ink3 { --ink: #69d17f; } .ink4 { --ink: #e5c04b; } }
td.heat { background: rgb(224 62 32 / calc(var(--h) * .72)); }
.spark { width: 90px; height: 22px; vertical-align: middle; } .spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; }
.scale { display: inline-block; width: 120px; height: 10px; border-radius: 2px; vertical-align: -1px; margin: 0 6px; background: linear-gradient(to right, transparent, rgb(224 62 32 / .72)); border: 1px solid var(--line); }
)css";

constexpr size_t kInks = 5;

std::string value_text(SensitivityMeasure measure, const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return "-";
  return measure == SensitivityMeasure::Metric ? fmt::format("{:.2f}", *value) : number_text(*value, 3);
}

double largest_damage(const SensitivityReport& report, SensitivityMeasure measure) {
  double largest = 0;
  for (const SensitivityLayer& layer : report.layers) {
    for (const SensitivityPoint& point : layer.points) {
      const double damage = damage_of(report, point, measure);
      if (std::isfinite(damage)) largest = std::max(largest, damage);
    }
  }
  return largest;
}

/// Patterns with a grid of sparsities, in order of appearance: each gets a chart.
std::vector<std::string> grid_patterns(const SensitivityReport& report) {
  std::vector<std::string> patterns;
  for (const SensitivityLayer& layer : report.layers) {
    for (const SensitivityPoint& point : layer.points) {
      if (point.target && std::find(patterns.begin(), patterns.end(), point.pattern) == patterns.end()) patterns.push_back(point.pattern);
    }
  }
  return patterns;
}

/// Sparsity and damage of one layer, from the dense layer on.
std::vector<std::pair<double, double>> curve_of(const SensitivityReport& report, const SensitivityLayer& layer, const std::string& pattern,
                                                SensitivityMeasure measure) {
  std::vector<std::pair<double, double>> curve;
  for (const SensitivityPoint& point : layer.points) {
    if (!point.target || point.pattern != pattern) continue;
    const double damage = damage_of(report, point, measure);
    if (std::isfinite(damage)) curve.emplace_back(point.sparsity, damage);
  }
  if (!curve.empty()) curve.emplace_back(0, 0);
  std::sort(curve.begin(), curve.end());
  return curve;
}

double mean_damage(const std::vector<std::pair<double, double>>& curve) {
  double sum = 0;
  for (const auto& [sparsity, damage] : curve) sum += damage;
  return curve.size() < 2 ? 0 : sum / static_cast<double>(curve.size() - 1);
}

std::string damage_label(const SensitivityReport& report, SensitivityMeasure measure) {
  if (measure != SensitivityMeasure::Metric) return measure_name(report, measure);
  return report.metric_name + (report.metric_unit == "%" ? " lost, points" : report.higher_is_better ? " lost" : " gained");
}

/// Layers by falling mean damage.
std::vector<size_t> most_sensitive(const SensitivityReport& report, const std::string& pattern, SensitivityMeasure measure) {
  std::vector<double> means;
  std::vector<size_t> order;
  for (size_t i = 0; i < report.layers.size(); ++i) {
    means.push_back(mean_damage(curve_of(report, report.layers[i], pattern, measure)));
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means[a] > means[b]; });
  return order;
}

std::string chart(const SensitivityReport& report, const std::string& pattern, SensitivityMeasure measure) {
  constexpr double kLeft = 56, kRight = 850, kTop = 12, kBottom = 270;
  const std::vector<size_t> order = most_sensitive(report, pattern, measure);
  double largest = 0;
  for (const size_t i : order) {
    for (const auto& [sparsity, damage] : curve_of(report, report.layers[i], pattern, measure)) largest = std::max(largest, damage);
  }
  if (largest <= 0) largest = 1;
  const auto x_of = [&](double sparsity) { return kLeft + sparsity * (kRight - kLeft); };
  const auto y_of = [&](double damage) { return kBottom - damage / largest * (kBottom - kTop); };
  std::string svg;
  for (int step = 0; step <= 10; step += 2) {
    const double x = x_of(step / 10.0);
    svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" "
                       "text-anchor=\"middle\">{4}</text>", x, kTop, kBottom, kBottom + 18, number_text(step / 10.0));
  }
  for (int step = 0; step <= 4; ++step) {
    const double y = y_of(largest * step / 4);
    svg += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" y=\"{4:.1f}\" "
                       "text-anchor=\"end\">{5}</text>", kLeft, kRight, y, kLeft - 6, y + 4, number_text(largest * step / 4, 3));
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">sparsity of the layer</text>", kRight, kBottom + 34);
  std::string legend;
  for (size_t rank = order.size(); rank-- > 0;) {  // the loudest last: on top
    const SensitivityLayer& layer = report.layers[order[rank]];
    const auto curve = curve_of(report, layer, pattern, measure);
    if (curve.empty()) continue;
    std::string points;
    std::string dots;
    for (const auto& [sparsity, damage] : curve) {
      points += fmt::format("{:.1f},{:.1f} ", x_of(sparsity), y_of(damage));
      dots += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.4\"/>", x_of(sparsity), y_of(damage));
    }
    const bool loud = rank < kInks;
    svg += fmt::format("<g class=\"{}\"><title>{}</title><polyline class=\"curve\" points=\"{}\"/>{}</g>",
                       loud ? fmt::format("loud ink{}", rank) : "", escape_markup(layer.name), points, dots);
    if (loud) legend = fmt::format("<span class=\"ink{}\">{}</span>", rank, escape_markup(layer.name)) + legend;
  }
  return fmt::format("<section class=\"panel\"><h2>One layer at a time: {0}</h2><p class=\"soft\">{1}. The {2} most sensitive layers are "
                     "coloured; hover names the others.</p><svg class=\"curves\" viewBox=\"0 0 860 310\" role=\"img\" aria-label=\"{1} by "
                     "sparsity, a curve for each layer; the table below has the numbers\">{3}</svg><p class=\"legend\">{4}</p></section>\n",
                     escape_markup(pattern), escape_markup(damage_label(report, measure)), std::min(kInks, report.layers.size()), svg, legend);
}

std::string spark(const SensitivityReport& report, const SensitivityLayer& layer, SensitivityMeasure measure, double largest) {
  const auto patterns = grid_patterns(report);
  if (patterns.empty()) return "";
  std::string points;
  for (const auto& [sparsity, damage] : curve_of(report, layer, patterns.front(), measure)) {
    points += fmt::format("{:.1f},{:.1f} ", sparsity * 90, 20 - 18 * std::sqrt(largest > 0 ? damage / largest : 0));
  }
  return fmt::format("<svg class=\"spark\" viewBox=\"0 0 90 22\" aria-hidden=\"true\"><polyline points=\"{}\"/></svg>", points);
}

/// `sortable`: the first table carries the id that the page's script looks for.
std::string heat_map(const SensitivityReport& report, SensitivityMeasure measure, bool sortable) {
  const std::vector<std::string> labels = point_labels(report);
  const double largest = largest_damage(report, measure);
  std::string out = sortable ? "<div class=\"scroll\" role=\"region\" aria-label=\"Heat map\" tabindex=\"0\"><table id=\"layers\" class=\"layers\">"
                             : "<div class=\"scroll\"><table class=\"layers\">";
  const auto heading = [&](const std::string& title, const char* classes) {
    if (!sortable) return fmt::format("<th scope=\"col\" class=\"plain {}\">{}</th>", classes, escape_markup(title));
    return fmt::format("<th scope=\"col\" class=\"{}\" aria-sort=\"none\"><button type=\"button\">{}</button></th>", classes, escape_markup(title));
  };
  out += "<thead><tr>" + heading("Layer", "") + heading("Shape", "minor") + heading("Weights", "n minor");
  for (const std::string& label : labels) out += heading(label, "n");
  out += heading("Curve", "minor") + "</tr></thead>\n<tbody>\n";
  for (const SensitivityLayer& layer : report.layers) {
    out += fmt::format("<tr><td class=\"name\">{}<span class=\"also\">{}</span></td><td class=\"minor number\">{}</td><td class=\"n minor\" data-v=\"{}\">{}</td>",
                       escape_markup(layer.name), escape_markup(layer.initializer == layer.name ? "" : layer.initializer),
                       shape_text(layer.shape), layer.weights, with_commas(layer.weights));
    for (const std::string& label : labels) {
      const auto found = std::find_if(layer.points.begin(), layer.points.end(), [&](const auto& point) { return point.label() == label; });
      if (found == layer.points.end()) {
        out += "<td class=\"n\" data-v=\"\">-</td>";
        continue;
      }
      const double damage = damage_of(report, *found, measure);
      const double heat = !std::isfinite(damage) ? 1 : largest > 0 ? std::sqrt(damage / largest) : 0;
      const std::optional<double> value = value_of(*found, measure);
      out += fmt::format("<td class=\"n heat\" style=\"--h:{:.3f}\" data-v=\"{}\">{}</td>", heat,
                         value && std::isfinite(*value) ? fmt::format("{}", *value) : "", value_text(measure, value));
    }
    out += "<td class=\"minor\">" + spark(report, layer, measure, largest) + "</td></tr>\n";
  }
  return out + "</tbody></table></div>";
}

std::string main_table(const SensitivityReport& report, SensitivityMeasure measure) {
  return fmt::format("<section class=\"panel\" aria-labelledby=\"layers-title\"><div class=\"bar\"><h2 id=\"layers-title\">{}</h2>"
                     "<p class=\"soft\" style=\"font-size:13px\">harmless<span class=\"scale\"></span>worst (square root of the damage)</p>"
                     "{}</div>\n{}<p id=\"none\" class=\"empty\" hidden>No layer matches.</p></section>\n",
                     escape_markup("Heat map: " + measure_name(report, measure)), filter_box("name, shape"), heat_map(report, measure, /*sortable=*/true));
}

std::string other_tables(const SensitivityReport& report, SensitivityMeasure shown) {
  std::string out;
  for (const auto measure : {SensitivityMeasure::Metric, SensitivityMeasure::Divergence, SensitivityMeasure::RelativeError}) {
    if (measure == shown || largest_damage(report, measure) <= 0) continue;
    out += fmt::format("<details><summary>{}</summary>{}</details>\n", escape_markup(measure_name(report, measure)), heat_map(report, measure, false));
  }
  return out.empty() ? "" : "<section class=\"panel\"><h2>Other measures</h2>" + out + "</section>\n";
}

std::string figure(const char* label, const std::string& value, const std::string& below) {
  return fmt::format("<div class=\"figure\"><dt>{}</dt><dd>{}<span class=\"soft\">{}</span></dd></div>\n", label, value, below);
}

std::string headline(const SensitivityReport& report, SensitivityMeasure measure) {
  std::string out = "<dl class=\"figures\">\n";
  if (report.dense_metric) {
    out += figure("Dense", fmt::format("{:.2f}{}", *report.dense_metric, report.metric_unit.empty() ? "" : " " + escape_markup(report.metric_unit)),
                  escape_markup(report.metric_name) + (report.dense_loss ? ", loss " + number_text(*report.dense_loss, 4) : ""));
  }
  out += figure("Samples", with_commas(report.samples), escape_markup(report.data));
  const auto patterns = grid_patterns(report);
  if (!patterns.empty() && !report.layers.empty()) {
    const size_t worst = most_sensitive(report, patterns.front(), measure).front();
    out += figure("Most sensitive", "<span style=\"font-size:15px;white-space:normal;overflow-wrap:anywhere\">" + escape_markup(report.layers[worst].name) + "</span>",
                  "largest mean damage over the grid");
  }
  out += figure("Layers", std::to_string(report.layers.size()), fmt::format("{} skipped, {}", report.skipped.size(), duration_text(report.total_s)));
  return out + "</dl>\n";
}

}  // namespace

std::string to_html(const SensitivityReport& report) {
  const SensitivityMeasure measure = shown_measure(report);
  std::string started = report.started;
  std::replace(started.begin(), started.end(), 'T', ' ');
  std::string page = html_head(file_name(report.model_path) + ": sensitivity", report.version, kStyle);
  page += fmt::format("<header class=\"top\"><p class=\"brand\"><b>sparsify</b> {} &nbsp; {}</p><h1>Sensitivity of {}</h1>"
                      "<p class=\"hashes\">criterion {} &nbsp; model <code title=\"SHA-256 {}\">{}</code></p></header>\n<main>\n",
                      escape_markup(report.version), escape_markup(started), escape_markup(file_name(report.model_path)),
                      escape_markup(report.criterion), escape_markup(report.model_sha256), escape_markup(report.model_sha256.substr(0, 12)));
  page += headline(report, measure);
  if (!report.warnings.empty()) {
    page += "<section class=\"panel warnings\"><h2>Warnings</h2><ul class=\"notes\">\n";
    for (const std::string& warning : report.warnings) page += "<li>" + escape_markup(warning) + "</li>\n";
    page += "</ul></section>\n";
  }
  for (const std::string& pattern : grid_patterns(report)) page += chart(report, pattern, measure);
  page += main_table(report, measure) + other_tables(report, measure);
  if (!report.skipped.empty()) {
    page += "<section class=\"panel\"><h2>Tensors that were not measured</h2><ul class=\"notes\">\n";
    for (const auto& [initializer, reason] : report.skipped) page += "<li>" + escape_markup(initializer) + ": " + escape_markup(reason) + "</li>\n";
    page += "</ul></section>\n";
  }
  page += "<section class=\"panel\"><div class=\"bar\"><h2>Command</h2><button type=\"button\" class=\"copy\" data-of=\"command\" hidden>Copy</button></div>"
          "<pre id=\"command\" class=\"command\" tabindex=\"0\">" + escape_markup(report.command) + "</pre></section>\n";
  return page + "</main>\n<script>" + kPageScript + "</script>\n</body></html>\n";
}

}  // namespace sparsify
