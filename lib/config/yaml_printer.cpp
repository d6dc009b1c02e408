#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "config/scalar.h"
#include "config/setting.h"

namespace sparsify {
namespace {

constexpr size_t kWidth = 100;

/// Unquoted only where every YAML reader, also one of version 1.1, sees the same text.
bool is_plain(const std::string& text) {
  static const std::vector<std::string> kFlags = {"y", "n", "yes", "no", "on", "off"};
  std::string lower;
  for (const char c : text) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (std::find(kFlags.begin(), kFlags.end(), lower) != kFlags.end()) return false;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto is_inner = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '-' || c == '+';
  };
  if (text.empty() || text == "..." || !std::all_of(lower.begin(), lower.end(), is_inner))
    return false;
  const bool path = text.starts_with("/") || text.starts_with("./") || text.starts_with("../");
  return (is_letter(lower[0]) || path) && typed_scalar(text).is_text();
}

std::string quoted(const std::string& text) {
  if (is_plain(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

bool is_scalar(const Setting& value) { return !value.is_list() && !value.is_map(); }

std::string flow(const Setting& value) {
  if (value.is_null()) return "null";
  if (value.is_flag()) return value.flag() ? "true" : "false";
  if (value.is_integer()) return std::to_string(value.integer());
  if (value.is_number()) return number_text(value.number());
  if (value.is_text()) return quoted(value.text());
  std::string out;
  if (value.is_list()) {
    for (const Setting& element : value.list()) out += (out.empty() ? "" : ", ") + flow(element);
    return "[" + out + "]";
  }
  for (const auto& [key, element] : value.map()) {
    out += (out.empty() ? "" : ", ") + quoted(key) + ": " + flow(element);
  }
  return "{" + out + "}";
}

bool is_full_map(const Setting& value) { return value.is_map() && !value.map().empty(); }

/// One line for scalars, for maps without maps in them, and for lists of more than maps, as long as
/// it is short.
bool fits_a_line(const Setting& value, size_t column) {
  if (is_scalar(value)) return true;
  if (value.is_map()) {
    for (const auto& [key, element] : value.map()) {
      if (is_full_map(element)) return false;
    }
    if (value.map().empty()) return true;
  } else {
    if (value.list().empty()) return true;
    if (std::all_of(value.list().begin(), value.list().end(), is_full_map)) return false;
  }
  return column + flow(value).size() <= kWidth;
}

void print(const Setting& value, size_t indent, std::string& out) {
  const std::string pad(indent, ' ');
  if (value.is_map() && !value.map().empty()) {
    for (const auto& [key, element] : value.map()) {
      const std::string head = pad + quoted(key) + ":";
      if (fits_a_line(element, head.size() + 1)) {
        out += head + " " + flow(element) + "\n";
      } else {
        out += head + "\n";
        print(element, indent + 2, out);
      }
    }
  } else if (value.is_list() && !value.list().empty()) {
    for (const Setting& element : value.list()) {
      if (fits_a_line(element, indent + 2)) {
        out += pad + "- " + flow(element) + "\n";
      } else {
        std::string block;
        print(element, indent + 2, block);
        block.replace(indent, 2, "- ");
        out += block;
      }
    }
  } else {
    out += pad + flow(value) + "\n";
  }
}

}  // namespace

std::string to_yaml(const Setting& value) {
  std::string out;
  print(value, 0, out);
  return out;
}

}  // namespace sparsify
