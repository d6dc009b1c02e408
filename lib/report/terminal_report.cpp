#include <fmt/format.h>

#include <algorithm>

#include "report/renderers.h"
#include "report/text.h"
#include "report/text_table.h"
#include "report/wording.h"

namespace sparsify {
namespace {

constexpr int kLabel = 10;  // width of `Accuracy  ` in front of the lines below the table

/// Writes the summary line by line.
class Summary {
 public:
  Summary(const RunReport& report, const TerminalOptions& options)
      : report_(report), options_(options), width_(std::max(options.width, 60)) {}

  std::string render() {
    heading();
    layers();
    skipped();
    out_ += '\n';
    figures();
    checks();
    list("Warning", report_.warnings, Paint::Warning);
    list("Note", report_.notes, Paint::Plain);
    times();
    if (!options_.html_path.empty()) line("Report", options_.html_path, Paint::Plain);
    return out_;
  }

 private:
  std::string safe(std::string_view text) const {
    return options_.utf8 ? printable(text) : to_ascii(text);
  }
  std::string ink(std::string_view text, Paint paint) const {
    return painted(text, paint, options_.colour);
  }
  const char* arrow() const { return options_.utf8 ? "→" : "->"; }

  /// A label and text wrapped at spaces behind it. A path longer than the line stays whole, so that it can be copied.
  void line(std::string_view label, std::string_view text, Paint paint) {
    std::string start = ink(fmt::format("{:<{}}", label, kLabel), Paint::Bold);
    std::string rest = safe(text);
    std::replace(rest.begin(), rest.end(), '\n', ' ');
    const int room = width_ - kLabel;
    while (true) {
      size_t cut = rest.size();
      if (display_width(rest) > room) {
        size_t space = rest.find(' ');
        cut = space == std::string::npos ? cut : space;
        while (space != std::string::npos && display_width(rest.substr(0, space)) <= room) {
          cut = space;
          space = rest.find(' ', space + 1);
        }
      }
      out_ += start + ink(rest.substr(0, cut), paint) + '\n';
      if (cut == rest.size()) return;
      rest.erase(0, cut + 1);
      start = std::string(kLabel, ' ');
    }
  }

  void list(const char* label, const std::vector<std::string>& texts, Paint paint) {
    for (const std::string& text : texts) line(label, text, paint);
  }

  void heading() {
    const std::string from = safe(file_name(report_.model.path));
    if (has_output(report_)) {
      out_ += ink(fmt::format("{} {} {}", from, arrow(), safe(report_.result->path)), Paint::Bold);
    } else {
      out_ += ink(from, Paint::Bold) + "  (no model written)";
    }
    out_ += fmt::format("\n{}, sparsity {}\n\n", pruned_text(report_), ink(sparsity_text(report_.sparsity), Paint::Bold));
  }

  void layers() {
    const auto rows = pruned_rows(report_);
    if (rows.empty()) return;
    const auto is_set = [](const std::string& text) { return !text.empty(); };
    const bool several_patterns = std::any_of(rows.begin(), rows.end(), [&](const LayerRow* row) {
      return is_set(row->pattern) && row->pattern != rows[0]->pattern;
    });
    const int bar_cells = width_ >= 100 ? 10 : 6;
    std::vector<TextTable::Column> columns = {{.title = "layer", .flexible = true},
                                              {.title = "op", .drop_order = 3},
                                              {.title = "shape", .drop_order = 4},
                                              {.title = "params", .right = true},
                                              {.title = "kept", .right = true},
                                              {.title = "target", .right = true, .drop_order = 1},
                                              {.title = "sparsity", .right = true},
                                              {.title = "", .drop_order = 5}};
    if (several_patterns) columns.push_back({.title = "pattern", .drop_order = 2});
    TextTable table(columns);
    int64_t params = 0;
    int64_t kept = 0;
    size_t vectors = 0;
    for (const LayerRow* row : rows) {
      params += row->params;
      kept += row->kept;
      const bool cut = !row->shape_after.empty();
      // Scales, biases and statistics lose the channels that their layer lost: four more rows a layer that say nothing new.
      if (cut && row->shape.size() < 2 && !options_.verbose) {
        ++vectors;
        continue;
      }
      std::vector<TextTable::Cell> cells = {
          row->name,
          {row->op, Paint::Dim},
          {cut ? before_after(shape_text(row->shape), shape_text(row->shape_after)) : shape_text(row->shape), Paint::Dim},
          with_commas(row->params),
          with_commas(row->kept),
          {row->target ? sparsity_text(*row->target) : "-", Paint::Dim},
          sparsity_text(row->sparsity),
          {text_bar(row->sparsity, bar_cells, options_.utf8), Paint::Dim}};
      if (several_patterns) cells.push_back({row->pattern, Paint::Dim});
      table.add_row(std::move(cells));
    }
    table.add_rule();
    const std::string with_vectors = vectors > 0 ? " and " + counted(vectors, "vector", "vectors") : "";
    std::vector<TextTable::Cell> total = {counted(rows.size() - vectors, "layer", "layers") + with_vectors,
                                          "",
                                          "",
                                          with_commas(params),
                                          with_commas(kept),
                                          "",
                                          sparsity_text(report_.sparsity),
                                          {text_bar(report_.sparsity, bar_cells, options_.utf8), Paint::Dim}};
    if (several_patterns) total.push_back("");
    table.add_row(std::move(total));
    out_ += table.render(width_, options_.colour, options_.utf8);
  }

  void skipped() {
    const auto groups = skipped_by_reason(report_);
    if (groups.empty()) return;
    size_t tensors = 0;
    for (const SkippedGroup& group : groups) tensors += group.rows.size();
    out_ += fmt::format("\n{}{}\n", ink(fmt::format("Left alone: {} tensors", tensors), Paint::Bold),
                        options_.verbose ? "" : ink("  (--verbose names all)", Paint::Dim));
    for (const SkippedGroup& group : groups) {
      out_ += fmt::format("  {:>4}  {}{}\n", group.rows.size(), safe(group.reason),
                          ink(fmt::format("  ({} weights)", with_commas(group.params)), Paint::Dim));
      const size_t shown = options_.verbose ? group.rows.size() : std::min<size_t>(group.rows.size(), 2);
      if (options_.verbose) {
        for (const LayerRow* row : group.rows) {
          out_ += fmt::format("        {}  {}\n", safe(row->initializer),
                              ink(fmt::format("{} {}", safe(row->op), shape_text(row->shape)), Paint::Dim));
        }
        continue;
      }
      std::string names;
      for (size_t i = 0; i < shown; ++i) names += (i > 0 ? ", " : "") + safe(group.rows[i]->initializer);
      if (shown < group.rows.size()) names += ", ...";
      out_ += "        " + ink(shorten_middle(names, width_ - 8), Paint::Dim) + '\n';
    }
  }

  std::string before_after(const std::string& before, const std::string& after) const {
    return fmt::format("{} {} {}", before, arrow(), after);
  }

  void figures() {
    if (report_.metric) metric(*report_.metric);
    const ModelFigures& model = report_.model;
    if (!report_.result) return;
    const ModelFigures& result = *report_.result;
    line("Nonzero", before_after(with_commas(model.nonzero), with_commas(result.nonzero)) + " weights",
         Paint::Plain);
    if (model.params != result.params) {
      line("Params", before_after(with_commas(model.params), with_commas(result.params)), Paint::Plain);
    }
    if (model.macs && result.macs && *model.macs != *result.macs) {
      line("MACs", before_after(short_count(*model.macs), short_count(*result.macs)) + " per sample", Paint::Plain);
    }
    std::string size = before_after(bytes_text(model.size_bytes), bytes_text(result.size_bytes));
    if (model.gzip_bytes > 0 && result.gzip_bytes > 0) {
      size += fmt::format("   gzip'ed {}", before_after(bytes_text(model.gzip_bytes), bytes_text(result.gzip_bytes)));
    }
    line("File", size, Paint::Plain);
  }

  void metric(const MetricResult& metric) {
    std::string text = safe(metric.name) + "  ";
    const std::string change = metric_change_text(metric);
    if (metric.before && metric.after) {
      text += before_after(metric_value_text(metric, *metric.before), metric_value_text(metric, *metric.after));
      text += "   " + change;
    } else if (metric.after || metric.before) {
      text += metric_value_text(metric, metric.after ? *metric.after : *metric.before);
      text += metric.after ? "" : " before";
    } else {
      text += "not measured";
    }
    text += fmt::format("   ({} samples{}{})", with_commas(metric.samples), metric.data.empty() ? "" : ", ",
                        safe(metric.data));
    line("Metric", text, Paint::Plain);
  }

  void checks() {
    const char* good = options_.utf8 ? "✓" : "ok";
    const char* bad = options_.utf8 ? "✗" : "FAILED";
    std::string passed;
    for (const VerificationResult& check : report_.verification) {
      if (!check.passed || options_.verbose) continue;
      passed += fmt::format("{}{} {}", passed.empty() ? "" : "  ", good, check.check);
    }
    if (!passed.empty()) line("Verified", passed, Paint::Good);
    for (const VerificationResult& check : report_.verification) {
      if (check.passed && !options_.verbose) continue;
      line("Verified",
           fmt::format("{} {}{}{}", check.passed ? good : bad, check.check,
                       check.detail.empty() ? "" : ": ", check.detail),
           check.passed ? Paint::Good : Paint::Bad);
    }
    for (const GateResult& gate : report_.gates) {
      line("Gate", fmt::format("{} {}: {}", gate.passed ? good : bad, gate.name, gate_text(gate)),
           gate.passed ? Paint::Good : Paint::Bad);
    }
  }

  void times() {
    if (report_.timings.empty()) return;
    std::string text = duration_text(report_.timings.back().second);
    if (report_.timings.size() > 1) {
      text += "  (";
      for (size_t i = 0; i + 1 < report_.timings.size(); ++i) {
        const auto& [stage, seconds] = report_.timings[i];
        text += fmt::format("{}{} {}", i > 0 ? ", " : "", stage_name(stage), duration_text(seconds));
      }
      text += ")";
    }
    line("Time", text, Paint::Plain);
  }

  const RunReport& report_;
  const TerminalOptions& options_;
  int width_;
  std::string out_;
};

}  // namespace

std::string to_terminal(const RunReport& report, const TerminalOptions& options) {
  return Summary(report, options).render();
}

}  // namespace sparsify
