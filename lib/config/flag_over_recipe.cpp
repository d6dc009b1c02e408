#include "config/flag_over_recipe.h"

#include <optional>

#include "base/log.h"
#include "base/names.h"

namespace sparsify {
namespace {

/// A plugin as a recipe writes it, taken apart; the name is empty where there are only options.
struct Written {
  std::string name;
  Setting name_setting;
  Setting::Map options;
};

bool is_name(const Setting& value) { return value.is_text() && !value.text().empty(); }

/// nullopt for what is neither a name nor a map: its reader says so.
std::optional<Written> taken_apart(const Setting& value, const std::function<bool(const std::string&)>& is_plugin) {
  Written written;
  if (is_name(value)) {
    written.name = value.text();
    written.name_setting = value;
    return written;
  }
  if (!value.is_map()) return std::nullopt;
  if (value.map().size() == 1 && value.find("name") == nullptr) {
    const auto& [name, element] = value.map().front();
    if (element.is_map() || is_plugin(name)) {
      written.name = name;
      written.name_setting = Setting(name);
      written.name_setting.set_mark(element.mark());
      if (element.is_map()) written.options = element.map();
      else if (!element.is_null()) written.options.emplace_back("value", element);
      return written;
    }
  }
  for (const auto& [key, element] : value.map()) {
    if (key != "name") {
      written.options.emplace_back(key, element);
    } else if (is_name(element)) {
      written.name = element.text();
      written.name_setting = element;
    } else {
      return std::nullopt;
    }
  }
  return written;
}

bool of_set(const Setting& value) { return value.mark().source == "--set"; }

}  // namespace

Setting flag_over_recipe(const Setting* given, const Setting& flag, const std::string& flag_name,
                         const std::function<bool(const std::string&)>& is_plugin) {
  if (given == nullptr || given->is_null()) return flag;
  const std::optional<Written> before = taken_apart(*given, is_plugin);
  const std::optional<Written> now = taken_apart(flag, is_plugin);
  if (!before || !now || before->options.empty() || now->name.empty()) return flag;

  const bool same = before->name.empty() || before->name == now->name;
  Setting merged{Setting::Map{}};
  merged.set_own_mark(flag.mark());
  merged.set("name", now->name_setting);
  std::vector<std::string> left_out;
  for (const auto& [key, value] : before->options) {
    if (same || of_set(value)) merged.set(key, value);
    else left_out.push_back(key);
  }
  for (const auto& [key, value] : now->options) merged.set(key, value);
  if (!left_out.empty()) {
    log_info("{} {}: the options of {} at {} are left out ({})", flag_name, now->name, before->name, given->mark().text(), join(left_out));
  }
  return merged;
}

void settle_alternatives_(Setting& map, const std::string& path, const std::string& one, const std::string& other) {
  if (!map.is_map()) return;
  const Setting* first = map.find(one);
  const Setting* second = map.find(other);
  if (first == nullptr || second == nullptr || first->is_null() || second->is_null()) return;
  const auto typed = [](const Setting& value) { return value.mark().source.starts_with("--"); };
  if (typed(*first) == typed(*second)) return;
  const std::string stands = typed(*first) ? one : other;
  const std::string goes = typed(*first) ? other : one;
  const std::string& source = map.find(stands)->mark().source;
  log_info("{}: {}.{} of {} is left out", source == "--set" ? source + " " + path + "." + stands : source, path, goes, map.find(goes)->mark().text());
  std::erase_if(map.map(), [&](const auto& element) { return element.first == goes; });
}

Setting with_set_options(const Setting* given, Setting flag) {
  if (given == nullptr || !given->is_map() || !flag.is_map()) return flag;
  for (const auto& [key, value] : given->map()) {
    if (of_set(value) && flag.find(key) == nullptr) flag.set(key, value);
  }
  return flag;
}

}  // namespace sparsify
