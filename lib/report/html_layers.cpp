#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/html_page.h"
#include "report/png.h"
#include "report/text.h"
#include "report/wording.h"

namespace sparsify {
namespace {

double within_one(double part) { return std::isfinite(part) ? std::clamp(part, 0.0, 1.0) : 0.0; }

struct Heading {
  const char* title;
  const char* classes;  // n: number, minor: left out on a phone
};

constexpr Heading kHeadings[] = {{"#", "n minor"},      {"Layer", ""},       {"Op", "minor"},
                                 {"Shape", "minor"},    {"Pattern", "minor"}, {"Weights", "n minor"},
                                 {"Kept", "n"},         {"MACs", "n minor"},  {"Target", "n minor"},
                                 {"Sparsity", "n"}};

/// Pruned and kept part of a layer, with a tick at the target.
std::string split_bar(const LayerRow& row) {
  std::string tick;
  if (row.target) tick = fmt::format("<b style=\"left:{:.2f}%\"></b>", 100 * within_one(*row.target));
  return fmt::format("<span class=\"split\" aria-hidden=\"true\"><i style=\"width:{:.2f}%\"></i>{}</span>",
                     100 * within_one(row.sparsity), tick);
}

std::string number_cell(const char* classes, const std::optional<int64_t>& number) {
  if (!number) return fmt::format("<td class=\"{}\" data-v=\"\">-</td>", classes);
  return fmt::format("<td class=\"{}\" data-v=\"{}\">{}</td>", classes, *number, with_commas(*number));
}

std::string table_row(const LayerRow& row, size_t place) {
  std::string also;
  if (row.initializer != row.name && !row.initializer.empty()) {
    also = fmt::format("<span class=\"also\">{}</span>", escape_markup(row.initializer));
  }
  return fmt::format("<tr><td class=\"n minor soft\">{}</td><td class=\"name\">{}{}</td><td class=\"minor\">{}</td>"
                     "<td class=\"minor number\" data-v=\"{}\">{}</td><td class=\"minor\">{}</td>{}{}{}"
                     "<td class=\"n minor\" data-v=\"{}\">{}</td><td class=\"n\" data-v=\"{}\">{}{}</td></tr>\n",
                     place, escape_markup(row.name), also, escape_markup(row.op), shape_text(row.shape),
                     row.shape_after.empty() ? shape_text(row.shape) : shape_text(row.shape) + " &rarr; " + shape_text(row.shape_after),
                     escape_markup(row.pattern), number_cell("n minor", row.params),
                     number_cell("n", row.kept), number_cell("n minor", row.macs),
                     row.target ? fmt::format("{}", *row.target) : "",
                     row.target ? sparsity_text(*row.target) : "-", row.sparsity, sparsity_text(row.sparsity),
                     split_bar(row));
}

}  // namespace

std::string layer_chart(const RunReport& report) {
  const auto rows = pruned_rows(report);
  int64_t most = 0;
  for (const LayerRow* row : rows) most = std::max(most, row->params);
  if (rows.size() < 2 || most == 0) return "";
  std::string bars;
  for (size_t i = 0; i < rows.size(); ++i) {
    const LayerRow& row = *rows[i];
    const double full = 100.0 * static_cast<double>(row.params) / static_cast<double>(most);
    const double kept = 100.0 * static_cast<double>(row.kept) / static_cast<double>(most);
    const auto x = 10 * i;
    bars += fmt::format("<g><title>{}: {} of {} kept, sparsity {}</title><rect class=\"p\" x=\"{}\" y=\"{:.2f}\" width=\"8\" "
                        "height=\"{:.2f}\"/><rect class=\"k\" x=\"{}\" y=\"{:.2f}\" width=\"8\" height=\"{:.2f}\"/>"
                        "<rect class=\"hit\" x=\"{}\" y=\"0\" width=\"10\" height=\"100\"/></g>",
                        escape_markup(row.name), with_commas(row.kept), with_commas(row.params),
                        sparsity_text(row.sparsity), x + 1, 100 - full, full, x + 1, 100 - kept, kept, x);
  }
  return fmt::format("<section class=\"panel\" aria-labelledby=\"chart-title\"><div class=\"bar\">"
                     "<h2 id=\"chart-title\">Where the weights are</h2><p class=\"key\"><span class=\"kept\">kept</span>"
                     "<span>pruned</span></p></div>"
                     "<p class=\"soft\" style=\"font-size:13px\">Tallest bar: {} weights.</p>"
                     "<svg class=\"chart\" role=\"img\" aria-label=\"Kept and pruned weights of each layer; the table below "
                     "has the numbers\" viewBox=\"0 0 {} 100\" preserveAspectRatio=\"none\">{}</svg>"
                     "<p class=\"ends\"><span>{}</span><span>{}</span></p></section>\n",
                     with_commas(most), 10 * rows.size(), bars, escape_markup(rows.front()->name),
                     escape_markup(rows.back()->name));
}

std::string layer_table(const RunReport& report) {
  const auto rows = pruned_rows(report);
  if (rows.empty()) return "";
  std::string out =
      "<section class=\"panel\" aria-labelledby=\"layers-title\"><div class=\"bar\"><h2 id=\"layers-title\">Layers</h2>"
      "<p class=\"key\"><span class=\"kept\">kept</span><span>pruned</span><span class=\"target\">target</span></p>" +
      filter_box("name, op, shape") +
      "</div>\n<div class=\"scroll\" role=\"region\" aria-labelledby=\"layers-title\" "
      "tabindex=\"0\"><table id=\"layers\" class=\"layers\"><thead><tr>";
  for (const Heading& heading : kHeadings) {
    const bool is_order = heading.title[0] == '#';
    out += fmt::format("<th scope=\"col\" class=\"{}\" aria-sort=\"{}\"><button type=\"button\"{}>{}</button></th>",
                       heading.classes, is_order ? "ascending" : "none",
                       is_order ? " aria-label=\"Place in the network\"" : "", heading.title);
  }
  out += "</tr></thead>\n<tbody>\n";
  int64_t params = 0;
  int64_t kept = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    out += table_row(*rows[i], i + 1);
    params += rows[i]->params;
    kept += rows[i]->kept;
  }
  out += fmt::format("</tbody>\n<tfoot><tr><td class=\"minor\"></td><td class=\"name\">{} layers</td>"
                     "<td class=\"minor\" colspan=\"3\"></td><td class=\"n minor\">{}</td><td class=\"n\">{}</td>"
                     "<td class=\"minor\" colspan=\"2\"></td><td class=\"n\">{}<span class=\"split\" aria-hidden=\"true\">"
                     "<i style=\"width:{:.2f}%\"></i></span></td></tr></tfoot></table></div>"
                     "<p id=\"none\" class=\"empty\" hidden>No layer matches.</p></section>\n",
                     rows.size(), with_commas(params), with_commas(kept), sparsity_text(report.sparsity),
                     100 * within_one(report.sparsity));
  return out;
}

std::string mask_pictures(const RunReport& report) {
  std::map<std::string, const LayerRow*> by_initializer;
  for (const LayerRow& row : report.layers) by_initializer.emplace(row.initializer, &row);
  std::string figures;
  for (const MaskPicture& picture : report.pictures) {
    if (picture.rows <= 0 || picture.columns <= 0) continue;
    const int64_t height = (picture.channels + picture.rows - 1) / picture.rows;
    const int64_t width = (picture.fan_in + picture.columns - 1) / picture.columns;
    const std::string cell =
        height * width > 1 ? fmt::format("; a cell is {}x{} weights", height, width) : std::string();
    const auto found = by_initializer.find(picture.initializer);
    const LayerRow* row = found == by_initializer.end() ? nullptr : found->second;
    figures += fmt::format(
        "<figure><figcaption><b>{}</b><span>{}{}</span></figcaption><img src=\"{}\" width=\"{}\" height=\"{}\" "
        "alt=\"Kept weights of {}, {} output channels down, {} weights of each across\"></figure>\n",
        escape_markup(row != nullptr ? row->name : picture.initializer),
        row != nullptr ? fmt::format("{}, sparsity {}", shape_text(row->shape), sparsity_text(row->sparsity))
                       : fmt::format("{}x{}", picture.channels, picture.fan_in),
        cell, png_data_uri(picture), picture.columns * 3, picture.rows * 3,
        escape_markup(picture.initializer), picture.channels, picture.fan_in);
  }
  if (figures.empty()) return "";
  return "<section class=\"panel\"><h2>Masks of the largest tensors</h2><p class=\"soft\">Output channels downwards, "
         "the weights of each channel across. The stronger the colour, the more is kept.</p><div class=\"pictures\">\n" +
         figures + "</div></section>\n";
}

std::string skipped_tensors(const RunReport& report) {
  const auto groups = skipped_by_reason(report);
  if (groups.empty()) return "";
  std::string out = "<section class=\"panel\"><h2>Tensors left alone</h2>\n";
  for (const SkippedGroup& group : groups) {
    out += fmt::format("<details><summary>{}<span class=\"soft\">{} {}, {} weights</span></summary><div class=\"scroll\">"
                       "<table><thead><tr><th class=\"plain\" scope=\"col\">Tensor</th><th class=\"plain\" "
                       "scope=\"col\">Op</th><th class=\"plain\" scope=\"col\">Shape</th><th class=\"n plain\" "
                       "scope=\"col\">Weights</th><th class=\"n plain\" scope=\"col\">Sparsity</th></tr></thead><tbody>\n",
                       escape_markup(group.reason), group.rows.size(),
                       group.rows.size() == 1 ? "tensor" : "tensors", with_commas(group.params));
    for (const LayerRow* row : group.rows) {
      out += fmt::format("<tr><td class=\"name\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                         escape_markup(row->initializer.empty() ? row->name : row->initializer),
                         escape_markup(row->op), shape_text(row->shape), with_commas(row->params),
                         sparsity_text(row->sparsity));
    }
    out += "</tbody></table></div></details>\n";
  }
  return out + "</section>\n";
}

}  // namespace sparsify
