#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sparsify {

/// Where a value was written: `configs/r20.yaml:12`, `--set`, `--sparsity`, or `default`.
struct Mark {
  std::string source;
  int line = 0;  ///< 1-based; 0 when the source has no lines

  /// `configs/r20.yaml:12`; `default` when nothing was written.
  std::string text() const;
};

/// A YAML or JSON value that remembers where it was written. Maps keep their order.
class Setting {
 public:
  using List = std::vector<Setting>;
  using Map = std::vector<std::pair<std::string, Setting>>;

  Setting() = default;
  explicit Setting(bool flag) : data_(flag) {}
  explicit Setting(int64_t integer) : data_(integer) {}
  explicit Setting(int integer) : data_(int64_t{integer}) {}
  explicit Setting(double number) : data_(number) {}
  explicit Setting(std::string text) : data_(std::move(text)) {}
  explicit Setting(const char* text) : data_(std::string(text)) {}
  explicit Setting(List list) : data_(std::move(list)) {}
  explicit Setting(Map map) : data_(std::move(map)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_flag() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(data_); }
  bool is_number() const { return is_integer() || std::holds_alternative<double>(data_); }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }
  bool is_list() const { return std::holds_alternative<List>(data_); }
  bool is_map() const { return std::holds_alternative<Map>(data_); }

  bool flag() const { return std::get<bool>(data_); }
  int64_t integer() const { return std::get<int64_t>(data_); }
  double number() const { return is_integer() ? static_cast<double>(integer()) : std::get<double>(data_); }
  const std::string& text() const { return std::get<std::string>(data_); }
  const List& list() const { return std::get<List>(data_); }
  List& list() { return std::get<List>(data_); }
  const Map& map() const { return std::get<Map>(data_); }
  Map& map() { return std::get<Map>(data_); }

  /// The value of a key of a map; nullptr if absent or not a map.
  const Setting* find(std::string_view key) const;
  Setting* find(std::string_view key);
  /// Replaces or appends. Turns null into a map.
  Setting& set(std::string_view key, Setting value);

  const Mark& mark() const { return mark_; }
  Setting& set_mark(const Mark& mark);  ///< of this value and of everything in it
  Setting& set_own_mark(Mark mark);     ///< of this value alone

  /// `a list of 3`, `the text "abc"`, `true`: for messages.
  std::string describe() const;

  /// Same content, wherever it was written; the integer 1 is not the number 1.0.
  bool operator==(const Setting& other) const { return data_ == other.data_; }

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Map> data_;
  Mark mark_;
};

/// YAML 1.2 core types: `5e-4` and `.5` are numbers, `2:4` is text, and so is everything in quotes.
/// Aliases are resolved; a value in a map carries the line of its key. Duplicate keys, a second document and
/// more than a million values are errors.
/// throws ConfigError with file and line for what does not parse
Setting parse_yaml(const std::string& text, const std::string& source);
/// Strict JSON (all its escapes, which YAML does not share), with the same marks and limits.
Setting parse_json(const std::string& text, const std::string& source);
/// JSON for `*.json`, else YAML; the marks carry `path` as it was given.
/// throws ConfigError when the file cannot be read
Setting read_yaml_file(const std::string& path);

/// Small maps and lists in one line; parse_yaml() gives the same value back.
std::string to_yaml(const Setting& value);
nlohmann::ordered_json to_json(const Setting& value);

/// `prune.0.sparsity=0.8`: sets a value deep in `root`, creating maps on the way (and a list where the next part is
/// 0); list indices must exist or be the next one. A map that stands for a list of one is its own element 0.
/// The right side is YAML; `source` (`--set`) becomes its mark.
/// throws ConfigError for a path through a scalar or an index out of range
void set_path(Setting& root, std::string_view assignment, const std::string& source);

}  // namespace sparsify
