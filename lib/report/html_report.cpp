#include <fmt/format.h>

#include <algorithm>

#include "base/names.h"
#include "report/html_page.h"
#include "report/renderers.h"
#include "report/text.h"
#include "report/training_html.h"
#include "report/wording.h"

namespace sparsify {
namespace {

constexpr const char* kTick = "<svg class=\"icon\" viewBox=\"0 0 18 18\" aria-hidden=\"true\"><path d=\"M3.5 9.5l3.6 3.6 7.4-8\"/></svg>";
constexpr const char* kCross = "<svg class=\"icon\" viewBox=\"0 0 18 18\" aria-hidden=\"true\"><path d=\"M4.5 4.5l9 9m0-9l-9 9\"/></svg>";

std::string version_of(const RunReport& report, const char* name) {
  const auto found = report.versions.find(name);
  return found == report.versions.end() ? "" : found->second;
}

std::string page_head(const RunReport& report) {
  return html_head(file_name(report.model.path) + ": sparsity " + sparsity_text(report.sparsity), version_of(report, "sparsify"),
                   report.training ? kTrainingStyle : "");
}

std::string hash_text(const char* label, const ModelFigures& model) {
  if (model.sha256.empty()) return "";
  const std::string hash = escape_markup(model.sha256);
  return fmt::format("{} <code title=\"SHA-256 {}\">{}</code>", label, hash, escape_markup(model.sha256.substr(0, 12)));
}

std::string page_header(const RunReport& report) {
  std::string title = escape_markup(file_name(report.model.path));
  if (has_output(report)) {
    title += " <span class=\"arrow\" aria-label=\"to\">→</span> " + escape_markup(file_name(report.result->path));
  }
  std::string hashes = hash_text("input", report.model);
  if (has_output(report) && !report.result->sha256.empty()) {
    hashes += (hashes.empty() ? "" : " &nbsp; ") + hash_text("output", *report.result);
  }
  const std::string version = version_of(report, "sparsify");
  std::string started = report.started;
  std::replace(started.begin(), started.end(), 'T', ' ');
  if (!started.empty() && started.back() == 'Z') started.replace(started.size() - 1, 1, " UTC");
  return fmt::format("<header class=\"top\"><p class=\"brand\"><b>sparsify</b> {} &nbsp; {}</p><h1>{}</h1>"
                     "<p class=\"hashes\">{}</p></header>\n<main>\n",
                     escape_markup(version), escape_markup(started), title, hashes);
}

template <class Checks>
size_t failures_of(const Checks& checks) {
  return static_cast<size_t>(std::count_if(checks.begin(), checks.end(), [](const auto& c) { return !c.passed; }));
}

std::string verdict(const RunReport& report) {
  const size_t checks = report.verification.size();
  const size_t gates = report.gates.size();
  if (checks + gates == 0) return "<p class=\"verdict none\">Nothing was verified in this run.</p>\n";
  const size_t failed_checks = failures_of(report.verification);
  const size_t missed_gates = failures_of(report.gates);
  std::string text;
  if (failed_checks + missed_gates == 0) {
    if (checks > 0) text = counted(checks, "verification", "verifications") + " passed";
    if (gates > 0) text += (text.empty() ? "" : ", ") + counted(gates, "gate", "gates") + " met";
  } else {
    if (failed_checks > 0) text = fmt::format("{} of {} failed", failed_checks, counted(checks, "verification", "verifications"));
    if (missed_gates > 0) {
      text += fmt::format("{}{} of {} missed", text.empty() ? "" : ", ", missed_gates, counted(gates, "gate", "gates"));
    }
    if (!has_output(report)) text += "; no model was written";
  }
  const bool good = failed_checks + missed_gates == 0;
  return fmt::format("<p class=\"verdict {}\">{}<span>{}</span></p>\n", good ? "good" : "bad", good ? kTick : kCross, text);
}

std::string figure(const std::string& label, const std::string& value, const std::string& below) {
  return fmt::format("<div class=\"figure\"><dt>{}</dt><dd>{}<span class=\"soft\">{}</span></dd></div>\n", label, value, below);
}

std::string metric_figure(const MetricResult& metric) {
  const auto& shown = metric.after ? metric.after : metric.before;
  std::string below;
  if (metric.before && metric.after) {
    const bool same = *metric.before == *metric.after;
    below = fmt::format("from {}, <span class=\"{}\">{}</span><br>", escape_markup(metric_value_text(metric, *metric.before)),
                        same ? "" : metric_got_worse(metric) ? "worse" : "better",
                        escape_markup(metric_change_text(metric)));
  } else if (metric.before) {
    below = "before pruning<br>";
  }
  below += fmt::format("{} samples{}{}", with_commas(metric.samples), metric.data.empty() ? "" : ", ", escape_markup(metric.data));
  return figure(escape_markup(metric.name), shown ? escape_markup(metric_value_text(metric, *shown)) : "-", below);
}

std::string headline(const RunReport& report) {
  std::string out = "<dl class=\"figures\">\n";
  out += figure("Sparsity", sparsity_text(report.sparsity), pruned_text(report));
  if (report.metric) out += metric_figure(*report.metric);
  if (report.result) {
    const ModelFigures& before = report.model;
    const ModelFigures& after = *report.result;
    std::string params;
    if (before.params != after.params) {
      params = fmt::format("<br>stored: {}, from {}", with_commas(after.params), with_commas(before.params));
    }
    out += figure("Nonzero weights", short_count(after.nonzero), fmt::format("from {}{}", with_commas(before.nonzero), params));
    if (before.macs && after.macs) {
      out += figure("MACs", short_count(*after.macs),
                    *before.macs == *after.macs ? "per sample, unchanged"
                                                : fmt::format("per sample, from {}", short_count(*before.macs)));
    }
    std::string below = fmt::format("from {}", bytes_text(before.size_bytes));
    if (before.gzip_bytes > 0 && after.gzip_bytes > 0) {
      below += fmt::format("<br>gzip'ed: {}, from {}", bytes_text(after.gzip_bytes), bytes_text(before.gzip_bytes));
    }
    out += figure("File", bytes_text(after.size_bytes), below);
  }
  return out + "</dl>\n";
}

std::string check_item(bool passed, const char* good, const char* bad, const std::string& name, const std::string& detail) {
  return fmt::format("<li><span class=\"{0}\">{1}</span><span>{2}</span><span class=\"state {0}\">{3}</span>{4}</li>\n",
                     passed ? "good-ink" : "bad-ink", passed ? kTick : kCross, escape_markup(name), passed ? good : bad,
                     detail.empty() ? "" : "<span class=\"detail\">" + escape_markup(detail) + "</span>");
}

std::string checks(const RunReport& report) {
  std::string out;
  if (!report.gates.empty()) {
    out += "<section class=\"panel\"><h2>Gates</h2><ul class=\"checks\">\n";
    for (const GateResult& gate : report.gates) out += check_item(gate.passed, "met", "missed", gate.name, gate_text(gate));
    out += "</ul></section>\n";
  }
  if (!report.verification.empty()) {
    out += "<section class=\"panel\"><h2>Verification</h2><ul class=\"checks\">\n";
    for (const VerificationResult& check : report.verification) {
      out += check_item(check.passed, "passed", "failed", check.check, check.detail);
    }
    out += "</ul></section>\n";
  }
  return out;
}

std::string text_panel(const char* title, const char* classes, const std::vector<std::string>& texts) {
  if (texts.empty()) return "";
  std::string out = fmt::format("<section class=\"panel {}\"><h2>{}</h2><ul class=\"notes\">\n", classes, title);
  for (const std::string& text : texts) out += "<li>" + escape_markup(text) + "</li>\n";
  return out + "</ul></section>\n";
}

/// Which weights training or a gradient criterion could not see, and why.
std::string gradient_ends(const RunReport& report) {
  if (!report.gradient_cuts || report.gradient_cuts->empty()) return "";
  std::string out = "<section class=\"panel\"><h2>Where gradients end</h2><table><thead><tr><th>Node</th><th>Operator</th>"
                    "<th>Why</th><th>Weights without any gradient</th></tr></thead><tbody>\n";
  for (const GradientCutRow& cut : *report.gradient_cuts) {
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", escape_markup(cut.node), escape_markup(cut.op),
                       escape_markup(cut.reason), cut.weights.empty() ? "none: other ways lead there" : escape_markup(join(cut.weights)));
  }
  return out + "</tbody></table></section>\n";
}

std::string timings(const RunReport& report) {
  if (report.timings.empty()) return "";
  double longest = 0;
  for (const auto& [stage, seconds] : report.timings) longest = std::max(longest, seconds);
  std::string out = "<section class=\"panel\"><h2>Time</h2><table class=\"times\"><tbody>\n";
  for (const auto& [stage, seconds] : report.timings) {
    out += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td><span class=\"track\" style=\"width:{:.2f}%\" "
                       "aria-hidden=\"true\"></span></td></tr>\n",
                       escape_markup(stage_name(stage)), duration_text(seconds), longest > 0 ? 100 * seconds / longest : 0);
  }
  return out + "</tbody></table></section>\n";
}

std::string copied_block(const char* title, const char* id, const char* classes, const std::string& text) {
  if (text.empty()) return "";
  return fmt::format("<div class=\"bar\"><h2>{0}</h2><button type=\"button\" class=\"copy\" data-of=\"{1}\" hidden>Copy</button>"
                     "</div><pre id=\"{1}\" class=\"{2}\" tabindex=\"0\">{3}</pre>\n",
                     title, id, classes, escape_markup(text));
}

std::string reproduction(const RunReport& report) {
  const std::string command = copied_block("Command", "command", "command", report.command);
  const std::string recipe = copied_block("Resolved recipe", "recipe", "", report.recipe_yaml);
  if (command.empty() && recipe.empty()) return "";
  return "<section class=\"panel\">" + command + (command.empty() || recipe.empty() ? "" : "<div class=\"spaced\"></div>") +
         recipe + "</section>\n";
}

std::string page_footer(const RunReport& report) {
  std::string versions;
  for (const auto& [name, text] : report.versions) {
    versions += fmt::format("{}{} {}", versions.empty() ? "" : ", ", escape_markup(name), escape_markup(text));
  }
  return fmt::format("<footer>{}</footer></main>\n<script>{}</script>\n</body></html>\n", versions, kPageScript);
}

}  // namespace

std::string to_html(const RunReport& report) {
  std::string page = page_head(report) + page_header(report) + verdict(report) + headline(report);
  page += text_panel("Warnings", "warnings", report.warnings);
  page += training_curves(report);
  page += gradient_ends(report);
  page += layer_chart(report) + layer_table(report) + mask_pictures(report);
  page += "<div class=\"two\"><div>" + checks(report) + "</div><div>";
  page += text_panel("Notes", "", report.notes) + timings(report) + "</div></div>\n";
  page += skipped_tensors(report) + reproduction(report) + page_footer(report);
  return page;
}

}  // namespace sparsify
