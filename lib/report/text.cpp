#include "report/text.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace sparsify {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Bytes of the code point that starts at `at`, 0 when there is none (RFC 3629: no surrogates, no overlong forms).
size_t code_point_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(at);
  const unsigned second = byte(at + 1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && second < 0xA0;
    const bool surrogate = first == 0xED && second > 0x9F;
    return follows(at + 1) && follows(at + 2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && second < 0x90;
    const bool beyond = first == 0xF4 && second > 0x8F;
    return follows(at + 1) && follows(at + 2) && follows(at + 3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

/// U+0080..U+009F are control characters too, and U+FFFE and U+FFFF are not allowed in XML.
bool is_forbidden(std::string_view code_point) {
  if (code_point.size() == 1) {
    const char c = code_point[0];
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') || c == 0x7F;
  }
  if (code_point.size() == 2) return code_point[0] == '\xC2' && static_cast<unsigned char>(code_point[1]) < 0xA0;
  return code_point == "\xEF\xBF\xBE" || code_point == "\xEF\xBF\xBF";
}

/// Calls `take` with each code point, already made printable.
template <class Take>
void for_each_code_point(std::string_view text, Take take) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = code_point_length(text, at);
    const std::string_view point = text.substr(at, std::max<size_t>(length, 1));
    take(length == 0 || is_forbidden(point) ? kReplacement : point);
    at += point.size();
  }
}

std::string scaled_text(double value, const std::array<const char*, 5>& units, double first_scaled) {
  size_t unit = 0;
  if (value >= first_scaled) {
    while (unit + 1 < units.size() && value >= 999.5) {
      value /= 1000;
      ++unit;
    }
  }
  if (unit == 0) return fmt::format("{:.0f}{}{}", value, *units[0] != '\0' ? " " : "", units[0]);
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_code_point(text, [&](std::string_view point) { out += point; });
  return out;
}

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for_each_code_point(text, [&](std::string_view point) {
    switch (point[0]) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += point;
    }
  });
  return out;
}

std::string to_ascii(std::string_view text) {
  std::string out;
  for_each_code_point(text, [&](std::string_view point) { out += point.size() == 1 ? point : "?"; });
  return out;
}

int display_width(std::string_view utf8) {
  int width = 0;
  for (const char c : utf8) width += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  return width;
}

std::string shorten_middle(std::string_view utf8, int width, std::string_view gap) {
  if (display_width(utf8) <= width) return std::string(utf8);
  std::vector<std::string_view> points;
  for_each_code_point(utf8, [&](std::string_view point) { points.push_back(point); });
  const int left = width - display_width(gap);
  std::string out;
  if (left < 2) {  // no room to say that something is missing
    for (int i = 0; i < width; ++i) out += points[static_cast<size_t>(i)];
    return out;
  }
  const int head = left * 2 / 5;
  for (int i = 0; i < head; ++i) out += points[static_cast<size_t>(i)];
  out += gap;
  for (size_t i = points.size() - static_cast<size_t>(left - head); i < points.size(); ++i) out += points[i];
  return out;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string with_commas(int64_t number) {
  std::string digits = std::to_string(number);
  const int sign = number < 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > sign; at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ',');
  }
  return digits;
}

std::string short_count(int64_t number) {
  return scaled_text(static_cast<double>(number), {"", "k", "M", "G", "T"}, 10000);
}

std::string bytes_text(int64_t bytes) {
  return scaled_text(static_cast<double>(bytes), {"B", "kB", "MB", "GB", "TB"}, 1000);
}

std::string sparsity_text(double sparsity) {
  std::string text = fmt::format("{:.4f}", sparsity);
  if (text == "1.0000" && sparsity < 1) return "0.9999";
  if (text == "0.0000" && sparsity > 0) return "0.0001";
  return text;
}

std::string duration_text(double seconds) {
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 99.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string number_text(double value, int digits) { return fmt::format("{:.{}g}", value, digits); }

std::string shape_text(const std::vector<int64_t>& shape) {
  if (shape.empty()) return "scalar";
  return fmt::format("{}", fmt::join(shape, "x"));
}

}  // namespace sparsify
