#include "config/options.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/names.h"
#include "config/option_check.h"

namespace sparsify {

struct Options::State {
  Setting map;
  std::string path;
  std::vector<OptionRecord> records;
  std::vector<std::pair<std::string, Options>> sections;
};

namespace {

OptionRecord record_of(std::string_view key, std::string type, std::string_view help,
                       Setting otherwise = {}) {
  return {.key = std::string(key),
          .type = std::move(type),
          .default_value = otherwise,
          .help = std::string(help),
          .actual = otherwise};
}

OptionRecord number_record(std::string_view key, const NumberRange& range, std::string_view help,
                           Setting otherwise = {}) {
  OptionRecord record = record_of(key, "number", help, std::move(otherwise));
  record.range = range;
  return record;
}

/// The extremes of the type count as no bound.
OptionRecord integer_record(std::string_view key, const IntegerRange& range, std::string_view help,
                            Setting otherwise = {}) {
  OptionRecord record = record_of(key, "integer", help, std::move(otherwise));
  const IntegerRange unbounded;
  if (range.min != unbounded.min) record.range.min = static_cast<double>(range.min);
  if (range.max != unbounded.max) record.range.max = static_cast<double>(range.max);
  return record;
}

template <class T>
OptionRecord list_record(OptionRecord element, const std::vector<T>& otherwise) {
  Setting::List list;
  for (const T& value : otherwise) list.emplace_back(value);
  element.items = element.type;
  element.type = "list";
  element.default_value = Setting(std::move(list));
  element.actual = element.default_value;
  return element;
}

}  // namespace

Options::Options() : state_(std::make_shared<State>()) {}

Options::Options(Setting map, std::string path) : Options() {
  if (!map.is_null() && !map.is_map()) {
    throw ConfigError{
        {.what = fmt::format("{} is {}", path.empty() ? "the recipe" : path, map.describe()),
         .where = place_of(map.mark(), path),
         .fix = "use a map, as in {key: value}"}};
  }
  state_->map = std::move(map);
  state_->path = std::move(path);
}

const Setting* Options::given(std::string_view key) const {
  const Setting* value = static_cast<const Setting&>(state_->map).find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const OptionRecord& Options::note(OptionRecord record) const {
  if (const Setting* value = given(record.key)) record.actual = *value;
  for (OptionRecord& known : state_->records) {
    if (known.key != record.key) continue;
    if (record.type != "any") known = std::move(record);  // value() says less than a typed read
    return known;
  }
  return state_->records.emplace_back(std::move(record));
}

std::string Options::path_of(std::string_view key) const { return joined_path(state_->path, key); }

std::string Options::where(std::string_view key) const {
  const Setting* value = given(key);
  return place_of(value != nullptr ? value->mark() : state_->map.mark(), path_of(key));
}

bool Options::has(std::string_view key) const { return given(key) != nullptr; }

double Options::number(std::string_view key, double otherwise, NumberRange range,
                       std::string_view help) const {
  const OptionRecord& record = note(number_record(key, range, help, Setting(otherwise)));
  const Setting* value = given(key);
  return value != nullptr ? checked_number(*value, path_of(key), record) : otherwise;
}

int64_t Options::integer(std::string_view key, int64_t otherwise, IntegerRange range,
                         std::string_view help) const {
  const OptionRecord& record = note(integer_record(key, range, help, Setting(otherwise)));
  const Setting* value = given(key);
  return value != nullptr ? checked_integer(*value, path_of(key), record) : otherwise;
}

std::string Options::text(std::string_view key, std::string_view otherwise,
                          std::string_view help) const {
  const OptionRecord& record = note(record_of(key, "text", help, Setting(std::string(otherwise))));
  const Setting* value = given(key);
  return value != nullptr ? checked_text(*value, path_of(key), record) : std::string(otherwise);
}

bool Options::flag(std::string_view key, bool otherwise, std::string_view help) const {
  const OptionRecord& record = note(record_of(key, "flag", help, Setting(otherwise)));
  const Setting* value = given(key);
  return value != nullptr ? checked_flag(*value, path_of(key), record) : otherwise;
}

std::string Options::choice(std::string_view key, std::string_view otherwise,
                            const std::vector<std::string>& choices, std::string_view help) const {
  OptionRecord fresh = record_of(key, "choice", help, Setting(std::string(otherwise)));
  fresh.choices = choices;
  const OptionRecord& record = note(std::move(fresh));
  const Setting* value = given(key);
  return value != nullptr ? checked_choice(*value, path_of(key), record) : std::string(otherwise);
}

std::optional<double> Options::optional_number(std::string_view key, NumberRange range,
                                               std::string_view help) const {
  const OptionRecord& record = note(number_record(key, range, help));
  const Setting* value = given(key);
  if (value == nullptr) return std::nullopt;
  return checked_number(*value, path_of(key), record);
}

std::optional<int64_t> Options::optional_integer(std::string_view key, IntegerRange range,
                                                 std::string_view help) const {
  const OptionRecord& record = note(integer_record(key, range, help));
  const Setting* value = given(key);
  if (value == nullptr) return std::nullopt;
  return checked_integer(*value, path_of(key), record);
}

std::optional<std::string> Options::optional_text(std::string_view key,
                                                  std::string_view help) const {
  const OptionRecord& record = note(record_of(key, "text", help));
  const Setting* value = given(key);
  if (value == nullptr) return std::nullopt;
  return checked_text(*value, path_of(key), record);
}

std::string Options::required_text(std::string_view key, std::string_view help) const {
  OptionRecord fresh = record_of(key, "text", help);
  fresh.required = true;
  const OptionRecord& record = note(std::move(fresh));
  const Setting* value = given(key);
  if (value == nullptr) {
    throw ConfigError{{.what = fmt::format("{} is missing", key),
                       .where = where(key),
                       .fix = fmt::format("add `{}: ...`{}", key,
                                          help.empty() ? "" : fmt::format(": {}", help))}};
  }
  return checked_text(*value, path_of(key), record);
}

std::optional<std::vector<std::pair<Setting, std::string>>> Options::elements(
    const OptionRecord& record) const {
  const Setting* value = given(record.key);
  if (value == nullptr) return std::nullopt;
  const std::string path = path_of(record.key);
  std::vector<std::pair<Setting, std::string>> found;
  if (!value->is_list()) {
    found.emplace_back(*value, path);
    return found;
  }
  for (size_t i = 0; i < value->list().size(); ++i) {
    found.emplace_back(value->list()[i], joined_path(path, std::to_string(i)));
  }
  return found;
}

std::vector<double> Options::numbers(std::string_view key, std::vector<double> otherwise,
                                     NumberRange range, std::string_view help) const {
  const OptionRecord& record = note(list_record(number_record(key, range, help), otherwise));
  const auto found = elements(record);
  if (!found) return otherwise;
  std::vector<double> numbers;
  for (const auto& [value, path] : *found) numbers.push_back(checked_number(value, path, record));
  return numbers;
}

std::vector<int64_t> Options::integers(std::string_view key, std::vector<int64_t> otherwise,
                                       IntegerRange range, std::string_view help) const {
  const OptionRecord& record = note(list_record(integer_record(key, range, help), otherwise));
  const auto found = elements(record);
  if (!found) return otherwise;
  std::vector<int64_t> integers;
  for (const auto& [value, path] : *found) integers.push_back(checked_integer(value, path, record));
  return integers;
}

std::vector<std::string> Options::texts(std::string_view key, std::vector<std::string> otherwise,
                                        std::string_view help) const {
  const OptionRecord& record = note(list_record(record_of(key, "text", help), otherwise));
  const auto found = elements(record);
  if (!found) return otherwise;
  std::vector<std::string> texts;
  for (const auto& [value, path] : *found) texts.push_back(checked_text(value, path, record));
  return texts;
}

std::vector<std::string> Options::choices(std::string_view key, std::vector<std::string> otherwise,
                                          const std::vector<std::string>& choices,
                                          std::string_view help) const {
  OptionRecord fresh = list_record(record_of(key, "choice", help), otherwise);
  fresh.choices = choices;
  const OptionRecord& record = note(std::move(fresh));
  const auto found = elements(record);
  if (!found) return otherwise;
  std::vector<std::string> chosen;
  for (const auto& [value, path] : *found) chosen.push_back(checked_choice(value, path, record));
  return chosen;
}

Setting Options::value(std::string_view key, std::string_view help) const {
  return note(record_of(key, "any", help)).actual;
}

Options Options::section(std::string_view key, std::string_view help) const {
  for (const auto& [name, section] : state_->sections) {
    if (name == key) return section;
  }
  note(record_of(key, "map", help));
  const Setting* value = given(key);
  Options section(value != nullptr ? *value : Setting().set_own_mark(state_->map.mark()),
                  path_of(key));
  state_->sections.emplace_back(std::string(key), section);
  return section;
}

void Options::reject_unread() const {
  if (!state_->map.is_null()) {
    std::vector<std::string> known;
    for (const OptionRecord& record : state_->records) known.push_back(record.key);
    for (const auto& [key, value] : state_->map.map()) {
      bool read = false;
      for (const std::string& name : known) read = read || name == key;
      if (read) continue;
      const std::string& path = state_->path;
      throw ConfigError{
          {.what = fmt::format("\"{}\" is no key of {}", key, path.empty() ? "a recipe" : path),
           .where = place_of(value.mark(), path_of(key)),
           .fix = known.empty() ? fmt::format("remove it: {} takes no keys", path)
                                : suggest(key, known)}};
    }
  }
  for (const auto& [name, section] : state_->sections) section.reject_unread();
}

const std::vector<OptionRecord>& Options::records() const {
  for (const auto& [name, section] : state_->sections) {
    for (OptionRecord& record : state_->records) {
      if (record.key == name) record.fields = section.records();
    }
  }
  return state_->records;
}

Setting Options::resolved() const {
  Setting map{Setting::Map{}};
  for (const OptionRecord& record : state_->records) {
    Setting value = record.actual;
    for (const auto& [name, section] : state_->sections) {
      if (name == record.key) value = section.resolved();
    }
    const bool empty = value.is_null() || (record.type == "map" && value.map().empty());
    if (!empty) map.set(record.key, std::move(value));
  }
  return map.set_own_mark(state_->map.mark());
}

}  // namespace sparsify
