#include "report/text_table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "report/text.h"

namespace sparsify {
namespace {

constexpr int kGap = 2;
constexpr int kNarrowest = 8;
constexpr int kLeastFlexible = 18;  // a name shorter than this says too little

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

std::string painted(std::string_view text, Paint paint, bool colour) {
  if (!colour || paint == Paint::Plain || text.empty()) return std::string(text);
  const char* code = paint == Paint::Bold   ? "1"
                     : paint == Paint::Dim  ? "2"
                     : paint == Paint::Good ? "32"
                     : paint == Paint::Bad  ? "1;31"
                                            : "33";
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

void TextTable::add_row(std::vector<Cell> cells) {
  invariant(cells.size() == columns_.size(), "a row has a cell for every column");
  for (Cell& cell : cells) {
    cell.text = printable(cell.text);
    std::replace(cell.text.begin(), cell.text.end(), '\n', ' ');
    std::replace(cell.text.begin(), cell.text.end(), '\t', ' ');
  }
  rows_.push_back(std::move(cells));
}

void TextTable::add_rule() { rows_.emplace_back(); }

std::vector<int> TextTable::natural_widths() const {
  std::vector<int> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.title));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i].text));
    }
  }
  return widths;
}

/// The narrowest at which the texts of the first column are still told apart.
int TextTable::least_width_of_names(int natural) const {
  std::set<std::string_view> texts;
  for (const auto& row : rows_) {
    if (!row.empty()) texts.insert(row[0].text);
  }
  for (int width = std::min(kLeastFlexible, natural); width < natural; ++width) {
    std::set<std::string> shortened;
    for (const std::string_view text : texts) shortened.insert(shorten_middle(text, width));
    if (shortened.size() == texts.size()) return width;
  }
  return natural;
}

std::string TextTable::render(int width, bool colour, bool utf8, int indent) const {
  std::vector<int> widths = natural_widths();
  std::vector<bool> shown(columns_.size(), true);
  const auto total = [&] {
    int sum = indent - kGap;
    for (size_t i = 0; i < columns_.size(); ++i) sum += shown[i] ? widths[i] + kGap : 0;
    return sum;
  };
  // Leave columns out only where shortening the flexible ones to their least width does not do.
  std::vector<int> least = widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].flexible) least[i] = std::min(widths[i], kLeastFlexible);
  }
  if (columns_[0].flexible && total() > width) least[0] = least_width_of_names(widths[0]);
  const auto shrinkable = [&] {
    int sum = 0;
    for (size_t i = 0; i < columns_.size(); ++i) sum += shown[i] ? widths[i] - least[i] : 0;
    return sum;
  };
  while (total() - shrinkable() > width) {
    size_t dropped = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!shown[i] || columns_[i].drop_order == 0) continue;
      if (dropped == columns_.size() || columns_[i].drop_order > columns_[dropped].drop_order) dropped = i;
    }
    if (dropped == columns_.size()) break;
    shown[dropped] = false;
  }
  const auto shorten_down_to = [&](const std::vector<int>& limits) {
    while (total() > width) {
      size_t widest = columns_.size();
      for (size_t i = 0; i < columns_.size(); ++i) {
        if (shown[i] && columns_[i].flexible && widths[i] > limits[i] && (widest == columns_.size() || widths[i] > widths[widest])) widest = i;
      }
      if (widest == columns_.size()) break;
      --widths[widest];
    }
  };
  shorten_down_to(least);
  shorten_down_to(std::vector<int>(columns_.size(), kNarrowest));

  std::string out;
  const auto put_row = [&](const auto& text_of, const auto& paint_of) {
    std::string line = std::string(static_cast<size_t>(indent), ' ');
    bool first = true;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!shown[i]) continue;
      if (!first) line += repeated(" ", kGap);
      first = false;
      std::string text = shorten_middle(text_of(i), widths[i], utf8 ? "…" : "...");
      if (!utf8) text = to_ascii(text);
      const std::string padding = repeated(" ", widths[i] - display_width(text));
      const std::string ink = painted(text, paint_of(i), colour);
      line += columns_[i].right ? padding + ink : ink + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  put_row([&](size_t i) { return columns_[i].title; }, [](size_t) { return Paint::Bold; });
  for (const auto& row : rows_) {
    if (row.empty()) {
      out += repeated(" ", indent) +
             painted(repeated(utf8 ? "─" : "-", total() - indent), Paint::Dim, colour) + '\n';
      continue;
    }
    put_row([&](size_t i) { return row[i].text; }, [&](size_t i) { return row[i].paint; });
  }
  return out;
}

std::string text_bar(double filled, int cells, bool utf8) {
  const double part = std::isfinite(filled) ? std::clamp(filled, 0.0, 1.0) : 0.0;
  const int full = static_cast<int>(std::lround(part * cells));
  return repeated(utf8 ? "█" : "#", full) + repeated(utf8 ? "░" : ".", cells - full);
}

}  // namespace sparsify
