#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "config/setting.h"

namespace sparsify {
namespace {

bool is_index(std::string_view part) {
  return !part.empty() && part.size() < 10 && std::all_of(part.begin(), part.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

/// The child that `part` names, created where it may be.
Setting& descend(Setting& parent, const std::string& part, const std::string& parent_path,
                 const std::string& source) {
  const std::string where =
      fmt::format("{} {}{}{}", source, parent_path, parent_path.empty() ? "" : ".", part);
  if (parent.is_null()) {
    parent =
        part == "0" && !parent_path.empty() ? Setting(Setting::List{}) : Setting(Setting::Map{});
    parent.set_own_mark({source, 0});
  }
  if (parent.is_map()) {
    Setting* child = parent.find(part);
    if (child == nullptr && part == "0") return parent;  // a map that stands for a list of one
    return child != nullptr ? *child : parent.set(part, Setting{});
  }
  if (parent.is_list()) {
    const size_t size = parent.list().size();
    const size_t index = is_index(part) ? std::stoul(part) : size + 1;
    if (index > size) {
      throw ConfigError{
          {.what = fmt::format("\"{}\" is no index of {}, which is {}", part, parent_path,
                               parent.describe()),
           .where = where,
           .fix = size == 0
                      ? std::string("use the index 0")
                      : fmt::format("use an index from 0 to {}; {} adds an element", size, size)}};
    }
    if (index == size) parent.list().emplace_back();
    return parent.list()[index];
  }
  throw ConfigError{
      {.what = fmt::format("{} is {}, which has no keys", parent_path, parent.describe()),
       .where = where,
       .fix = fmt::format("set the whole value: {}={{name: {}, {}: ...}}", parent_path,
                          parent.is_text() ? parent.text() : "...", part)}};
}

}  // namespace

void set_path(Setting& root, std::string_view assignment, const std::string& source) {
  const std::string text(assignment);
  const size_t equals = text.find('=');
  const std::string path = text.substr(0, equals);
  const bool broken = path.empty() || path.front() == '.' || path.back() == '.' ||
                      path.find("..") != std::string::npos;
  if (equals == std::string::npos || broken) {
    throw ConfigError{{.what = fmt::format("\"{}\" is no assignment", text),
                       .where = source,
                       .fix = "write key=value, as in prune.0.sparsity=0.8"}};
  }
  Setting value;
  try {
    value = parse_yaml(text.substr(equals + 1), source);
  } catch (Error& e) {
    e.set_where(fmt::format("{} {}", source, text));
    throw;
  }
  value.set_mark({source, 0});

  Setting* target = &root;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    target = &descend(*target, path.substr(begin, end - begin),
                      path.substr(0, begin == 0 ? 0 : begin - 1), source);
    begin = end + 1;
  }
  *target = std::move(value);
}

}  // namespace sparsify
