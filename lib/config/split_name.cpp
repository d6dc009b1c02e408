#include <fmt/core.h>

#include "base/error.h"
#include "config/option_check.h"

namespace sparsify {
namespace {

[[noreturn]] void refuse(const Mark& mark, const std::string& path, const std::string& what) {
  const std::string key = path.substr(path.rfind('.') + 1);
  throw ConfigError{
      {.what = what,
       .where = place_of(mark, path),
       .fix = fmt::format("write `{0}: NAME` or `{0}: {{name: NAME, key: value}}`", key)}};
}

}  // namespace

NamedOptions split_name(const Setting& value, const std::string& path) {
  Setting options{Setting::Map{}};
  options.set_own_mark(value.mark());
  if (value.is_text() && !value.text().empty())
    return {value.text(), Options(std::move(options), path)};
  if (!value.is_map() || value.map().empty()) {
    refuse(value.mark(), path, fmt::format("{} is {}, not a name", path, value.describe()));
  }

  if (const Setting* name = value.find("name")) {
    if (!name->is_text() || name->text().empty()) {
      refuse(name->mark(), path, fmt::format("the name is {}", name->describe()));
    }
    for (const auto& [key, element] : value.map()) {
      if (key != "name") options.set(key, element);
    }
    return {name->text(), Options(std::move(options), path)};
  }
  if (value.map().size() > 1)
    refuse(value.mark(), path, fmt::format("{} is a map without a name", path));
  const auto& [name, element] = value.map().front();
  if (element.is_map()) return {name, Options(element, joined_path(path, name))};
  if (!element.is_null()) options.set("value", element);
  return {name, Options(std::move(options), path)};
}

}  // namespace sparsify
