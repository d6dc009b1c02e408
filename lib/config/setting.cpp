#include "config/setting.h"

#include <fmt/core.h>

namespace sparsify {

std::string Mark::text() const {
  if (source.empty()) return "default";
  return line > 0 ? fmt::format("{}:{}", source, line) : source;
}

const Setting* Setting::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  for (const auto& [name, value] : map()) {
    if (name == key) return &value;
  }
  return nullptr;
}

Setting* Setting::find(std::string_view key) {
  return const_cast<Setting*>(static_cast<const Setting*>(this)->find(key));
}

Setting& Setting::set(std::string_view key, Setting value) {
  if (is_null()) data_ = Map{};
  if (Setting* present = find(key)) {
    *present = std::move(value);
    return *present;
  }
  return map().emplace_back(std::string(key), std::move(value)).second;
}

Setting& Setting::set_mark(const Mark& mark) {
  mark_ = mark;
  if (is_list()) {
    for (Setting& element : list()) element.set_mark(mark);
  } else if (is_map()) {
    for (auto& [name, element] : map()) element.set_mark(mark);
  }
  return *this;
}

Setting& Setting::set_own_mark(Mark mark) {
  mark_ = std::move(mark);
  return *this;
}

std::string Setting::describe() const {
  if (is_null()) return "nothing";
  if (is_flag()) return flag() ? "true" : "false";
  if (is_integer()) return std::to_string(integer());
  if (is_number()) return fmt::format("{}", number());
  if (is_text()) return fmt::format("the text \"{}\"", text());
  if (is_list()) return fmt::format("a list of {}", list().size());
  return fmt::format("a map of {}", map().size());
}

}  // namespace sparsify
