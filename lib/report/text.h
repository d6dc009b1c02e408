#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sparsify {

/// What may come out of a file made by strangers: invalid UTF-8 and control characters (a terminal would obey them, XML
/// forbids them) become U+FFFD; tab and line feed stay.
std::string printable(std::string_view text);

/// printable() with & < > " ' as references: safe as element text and as a quoted attribute, in HTML and in XML.
std::string escape_markup(std::string_view text);

/// printable() in ASCII: every other code point becomes `?`.
std::string to_ascii(std::string_view text);

/// Code points: the columns it takes on a terminal, except for East Asian wide characters.
int display_width(std::string_view utf8);

/// `backbone.layer3...conv2.weight`: at most `width` columns, the middle left out, more of the end kept than of the beginning
/// because that is where names differ. `gap` stands for what was left out.
std::string shorten_middle(std::string_view utf8, int width, std::string_view gap = "...");

/// A field of a CSV line: in quotes where it holds a comma, a quote or a line end (RFC 4180).
std::string csv_field(std::string_view text);

/// `1,234,567`
std::string with_commas(int64_t number);
/// `1.23 M`, `269 k`, `950`: three digits.
std::string short_count(int64_t number);
/// `1.09 MB`; decimal units, as file managers show them.
std::string bytes_text(int64_t bytes);
/// Four decimals; never rounded up to 1 (or down to 0) when it is not.
std::string sparsity_text(double sparsity);
/// `12.3 s`, `850 ms`, `3 min 20 s`
std::string duration_text(double seconds);
/// At most `digits` significant digits, no trailing zeros: for limits and metrics of unknown size.
std::string number_text(double value, int digits = 5);
/// `16x3x3x3`; `scalar` for no dimensions.
std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace sparsify
