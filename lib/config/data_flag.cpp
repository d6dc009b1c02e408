#include <fmt/core.h>

#include "base/error.h"
#include "config/recipe.h"

namespace sparsify {
namespace {

/// Splits at commas outside brackets, braces and quotes.
std::vector<std::string> split_at_commas(const std::string& text, const std::string& flag) {
  std::vector<std::string> parts(1);
  int depth = 0;
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == '\\' && quote == '"' && i + 1 < text.size()) {
        parts.back() += c;
        ++i;
      } else if (c == quote) {
        quote = '\0';
      }
    } else if (c == ',' && depth == 0) {
      parts.emplace_back();
      continue;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if ((c == '"' || c == '\'') &&
               (parts.back().empty() ||
                parts.back().find_last_of("=:,[{ ") == parts.back().size() - 1)) {
      quote = c;  // only where a value starts: an apostrophe inside a path is a letter
    }
    parts.back() += text[i];
  }
  if (depth != 0 || quote != '\0') {
    throw ConfigError{{.what = fmt::format("\"{}\" leaves a bracket or quote open", text),
                       .where = flag,
                       .fix = "close it, and put the whole text in quotes for the shell"}};
  }
  return parts;
}

Setting yaml_of(const std::string& text, const std::string& where, const std::string& flag) {
  try {
    return parse_yaml(text, flag);
  } catch (Error& e) {
    e.set_where(where);
    throw;
  }
}

}  // namespace

Setting parse_data_flag(const std::string& text, const std::string& flag) {
  const std::vector<std::string> parts = split_at_commas(text, flag);
  const size_t colon = parts[0].find(':');
  const std::string format = parts[0].substr(0, colon);
  const bool named =
      !format.empty() &&
      format.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (!named) {
    throw ConfigError{
        {.what = fmt::format("\"{}\" does not start with a data format", text),
         .where = flag,
         .fix = "write FORMAT:PATH[,key=value...], as in cifar10:data/cifar10,split=test"}};
  }
  Setting set;
  set.set("format", Setting(format));
  std::string path = colon == std::string::npos ? "" : parts[0].substr(colon + 1);
  if (path.starts_with('"') || path.starts_with('\'')) {
    const Setting quoted = yaml_of(path, flag, flag);
    if (quoted.is_text()) path = quoted.text();
  }
  if (!path.empty()) set.set("path", Setting(path));

  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    const std::string key = parts[i].substr(0, equals);
    if (equals == std::string::npos || key.empty()) {
      throw ConfigError{{.what = fmt::format("\"{}\" is no key=value", parts[i]),
                         .where = flag,
                         .fix = "write key=value after each comma, lists in brackets, and a path "
                                "that has commas in quotes"}};
    }
    if (set.find(key) != nullptr) {
      throw ConfigError{{.what = fmt::format("the key \"{}\" is there twice", key),
                         .where = flag,
                         .fix = "keep one of the two"}};
    }
    set.set(key, yaml_of(parts[i].substr(equals + 1), fmt::format("{} ({})", flag, key), flag));
  }
  set.set_mark({flag, 0});
  return set;
}

}  // namespace sparsify
