#include "config/option_check.h"

#include <fmt/core.h>

#include <cmath>

#include "base/error.h"
#include "base/names.h"

namespace sparsify {
namespace {

std::string range_text(const NumberRange& range) {
  const bool low = std::isfinite(range.min);
  const bool high = std::isfinite(range.max);
  if (low && high) {
    return fmt::format(" in {}{}, {}{}", range.above_min ? '(' : '[', range.min, range.max,
                       range.below_max ? ')' : ']');
  }
  if (low) return fmt::format("{} {}", range.above_min ? " above" : " of at least", range.min);
  if (high) return fmt::format("{} {}", range.below_max ? " below" : " of at most", range.max);
  return "";
}

[[noreturn]] void refuse(const Setting& value, const std::string& path,
                         const OptionRecord& record) {
  const std::string& kind = record.type == "list" ? record.items : record.type;
  const bool name = kind == "choice" && value.is_text();
  std::string fix = "use " + describe_allowed(record);
  if (name) fix = suggest(value.text(), record.choices);
  const bool unquoted = !value.is_text() && !value.is_list() && !value.is_map();
  if (kind == "text" && unquoted)
    fix = fmt::format("use text, in quotes: \"{}\"", value.describe());
  const std::string key = path.substr(path.rfind('.') + 1);
  const bool index = !key.empty() && key.find_first_not_of("0123456789") == std::string::npos;
  throw ConfigError{
      {.what = fmt::format("{}{} is {}", record.key, index ? "[" + key + "]" : "",
                           name ? fmt::format("\"{}\"", value.text()) : value.describe()),
       .where = place_of(value.mark(), path),
       .fix = fix}};
}

}  // namespace

std::string describe_allowed(const OptionRecord& record) {
  const std::string& kind = record.type == "list" ? record.items : record.type;
  std::string text = "any value";
  if (kind == "number") text = "a number" + range_text(record.range);
  if (kind == "integer") text = "an integer" + range_text(record.range);
  if (kind == "text") text = "text";
  if (kind == "flag") text = "true or false";
  if (kind == "choice") text = "one of: " + join(record.choices);
  if (kind == "map") text = "a map, as in {key: value}";
  return record.type == "list" ? "a list, each " + text : text;
}

double checked_number(const Setting& value, const std::string& path, const OptionRecord& record) {
  const NumberRange& range = record.range;
  const double number = value.is_number() ? value.number() : std::nan("");
  const bool low = range.above_min ? number > range.min : number >= range.min;
  const bool high = range.below_max ? number < range.max : number <= range.max;
  if (!std::isfinite(number) || !low || !high) refuse(value, path, record);
  return number;
}

int64_t checked_integer(const Setting& value, const std::string& path, const OptionRecord& record) {
  const double number = checked_number(value, path, record);
  if (value.is_integer()) return value.integer();
  if (number != std::floor(number) || std::abs(number) > 0x1p53) refuse(value, path, record);
  return static_cast<int64_t>(number);
}

bool checked_flag(const Setting& value, const std::string& path, const OptionRecord& record) {
  if (!value.is_flag()) refuse(value, path, record);
  return value.flag();
}

const std::string& checked_text(const Setting& value, const std::string& path,
                                const OptionRecord& record) {
  if (!value.is_text()) refuse(value, path, record);
  return value.text();
}

const std::string& checked_choice(const Setting& value, const std::string& path,
                                  const OptionRecord& record) {
  if (!value.is_text()) refuse(value, path, record);
  for (const std::string& choice : record.choices) {
    if (choice == value.text()) return value.text();
  }
  refuse(value, path, record);
}

std::string place_of(const Mark& mark, const std::string& path) {
  if (mark.source.empty()) return path.empty() ? "the recipe" : path;
  return path.empty() ? mark.text() : fmt::format("{} ({})", mark.text(), path);
}

std::string joined_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

}  // namespace sparsify
