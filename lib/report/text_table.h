#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sparsify {

enum class Paint { Plain, Bold, Dim, Good, Bad, Warning };

/// The text in an escape sequence, or as it is when `colour` is false.
std::string painted(std::string_view text, Paint paint, bool colour);

/// Columns of text for a terminal. Flexible ones, the widest first, are shortened in the middle when the table would be too
/// wide, but not so far that two names in the first column look the same; when that is not enough, the columns with the highest drop_order
/// go first, and only then are the flexible ones shortened further.
class TextTable {
 public:
  struct Column {
    std::string title;
    bool right = false;     ///< aligned to the right: numbers
    bool flexible = false;  ///< may be shortened
    int drop_order = 0;     ///< 0: never left out
  };
  struct Cell {
    Cell(std::string t, Paint p = Paint::Plain) : text(std::move(t)), paint(p) {}
    Cell(const char* t) : text(t) {}
    std::string text;
    Paint paint = Paint::Plain;
  };

  explicit TextTable(std::vector<Column> columns);

  /// As many cells as columns; text is made printable.
  void add_row(std::vector<Cell> cells);
  /// A line across the table, before what is added next: for totals.
  void add_rule();

  /// Lines with a final line feed, each at most `width` columns where that can be met, indented by `indent`.
  std::string render(int width, bool colour, bool utf8, int indent = 0) const;

 private:
  std::vector<int> natural_widths() const;
  int least_width_of_names(int natural) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;  ///< an empty row is a rule
};

/// `########..`: `cells` characters, the part `filled` in [0, 1] of them full.
std::string text_bar(double filled, int cells, bool utf8);

}  // namespace sparsify
