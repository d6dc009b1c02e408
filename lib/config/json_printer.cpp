#include <nlohmann/json.hpp>

#include "config/setting.h"

namespace sparsify {

nlohmann::ordered_json to_json(const Setting& value) {
  if (value.is_flag()) return value.flag();
  if (value.is_integer()) return value.integer();
  if (value.is_number()) return value.number();
  if (value.is_text()) return value.text();
  if (value.is_list()) {
    auto list = nlohmann::ordered_json::array();
    for (const Setting& element : value.list()) list.push_back(to_json(element));
    return list;
  }
  if (value.is_map()) {
    auto map = nlohmann::ordered_json::object();
    for (const auto& [key, element] : value.map()) map[key] = to_json(element);
    return map;
  }
  return nullptr;
}

}  // namespace sparsify
