#include "config/scalar.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace sparsify {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t skip_digits(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

/// [-+]? ( . digits | digits ( . digits? )? ) ( [eE] [-+]? digits )?
bool is_number_text(std::string_view text) {
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const size_t whole = at;
  at = skip_digits(text, at);
  size_t digits = at - whole;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = at + 1;
    at = skip_digits(text, fraction);
    digits += at - fraction;
  }
  if (digits == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const size_t exponent = at;
    at = skip_digits(text, at);
    if (at == exponent) return false;
  }
  return at == text.size();
}

template <class Number>
std::optional<Number> whole_text(std::string_view text, auto... base) {
  Number number{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Setting> infinity_or_nan(std::string_view text) {
  if (text == ".nan" || text == ".NaN" || text == ".NAN") {
    return Setting(std::numeric_limits<double>::quiet_NaN());
  }
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text != ".inf" && text != ".Inf" && text != ".INF") return std::nullopt;
  const double infinity = std::numeric_limits<double>::infinity();
  return Setting(negative ? -infinity : infinity);
}

}  // namespace

Setting typed_scalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return {};
  if (text == "true" || text == "True" || text == "TRUE") return Setting(true);
  if (text == "false" || text == "False" || text == "FALSE") return Setting(false);
  if (text.starts_with("0x") || text.starts_with("0o")) {
    // A sign after the prefix would pass from_chars.
    const bool digit = text.size() > 2 && text[2] != '-';
    const auto integer = whole_text<int64_t>(text.substr(2), text[1] == 'x' ? 16 : 8);
    return digit && integer ? Setting(*integer) : Setting(std::string(text));
  }
  if (auto special = infinity_or_nan(text)) return *special;
  if (!is_number_text(text)) return Setting(std::string(text));

  const std::string_view unsigned_plus = text.starts_with('+') ? text.substr(1) : text;
  if (const auto integer = whole_text<int64_t>(unsigned_plus)) return Setting(*integer);
  if (const auto number = whole_text<double>(unsigned_plus)) return Setting(*number);
  return Setting(std::string(text));  // beyond the range of double: whoever wants a number says so
}

std::string number_text(double number) {
  if (std::isnan(number)) return ".nan";
  if (std::isinf(number)) return number < 0 ? "-.inf" : ".inf";
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace sparsify
