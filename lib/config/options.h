#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/setting.h"

namespace sparsify {

struct NumberRange {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool below_max = false;  ///< [min, max) instead of [min, max]
  bool above_min = false;  ///< (min, max] instead of [min, max]
};

struct IntegerRange {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};

/// What was asked of an Options object: the source of `explain`, `schema` and the resolved recipe.
struct OptionRecord {
  std::string key = {};
  std::string type = {};           ///< number, integer, text, flag, choice, list, map, any
  std::string items = {};          ///< of a list: number, integer, text, choice
  Setting default_value = {};        ///< null: required, or absent by default
  bool required = false;
  NumberRange range = {};          ///< for number and integer
  std::vector<std::string> choices = {};
  std::string help = {};
  Setting actual = {};               ///< what the reader got: the given value or the default
  std::vector<OptionRecord> fields = {};  ///< of a map read with section()
};

/// `a number in [0, 1)`, `an integer of at least 1`, `one of: a, b`: what a record's value may be, for fixes and help.
std::string describe_allowed(const OptionRecord& record);

/// A plugin's view of its part of the recipe. Every read is recorded, with default and range, and a key that
/// nobody read is an error (reject_unread).
///
/// A key whose value is null counts as absent. Numbers and integers must be finite; `1e3` is an integer too.
/// Every read throws ConfigError with `where` as below for a wrong type, a value out of range or an unknown choice.
/// A scalar `name` and a map `{name: ..., key: ...}` are both accepted for a plugin: see split_name.
/// Copies share what was read.
class Options {
 public:
  Options();  ///< empty: every read gives its default
  /// `path` is how the user would write it: `prune.0.criterion`. Null is an empty map.
  /// throws ConfigError when the value is not a map
  explicit Options(Setting map, std::string path = "");

  double number(std::string_view key, double otherwise, NumberRange range = {}, std::string_view help = "") const;
  int64_t integer(std::string_view key, int64_t otherwise, IntegerRange range = {}, std::string_view help = "") const;
  std::string text(std::string_view key, std::string_view otherwise, std::string_view help = "") const;
  bool flag(std::string_view key, bool otherwise, std::string_view help = "") const;
  std::string choice(std::string_view key, std::string_view otherwise, const std::vector<std::string>& choices,
                     std::string_view help = "") const;
  /// Of lists, a single element is accepted for a list of one.
  std::vector<double> numbers(std::string_view key, std::vector<double> otherwise, NumberRange range = {},
                              std::string_view help = "") const;
  std::vector<int64_t> integers(std::string_view key, std::vector<int64_t> otherwise, IntegerRange range = {},
                                std::string_view help = "") const;
  std::vector<std::string> texts(std::string_view key, std::vector<std::string> otherwise,
                                 std::string_view help = "") const;
  std::vector<std::string> choices(std::string_view key, std::vector<std::string> otherwise,
                                   const std::vector<std::string>& choices, std::string_view help = "") const;
  std::optional<double> optional_number(std::string_view key, NumberRange range = {}, std::string_view help = "") const;
  std::optional<int64_t> optional_integer(std::string_view key, IntegerRange range = {}, std::string_view help = "") const;
  std::optional<std::string> optional_text(std::string_view key, std::string_view help = "") const;
  /// Must be given.
  std::string required_text(std::string_view key, std::string_view help = "") const;

  /// Any value, as it is; null when absent.
  Setting value(std::string_view key, std::string_view help = "") const;
  bool has(std::string_view key) const;
  /// A nested map; empty when absent. Its own unread keys are checked with its parent's.
  Options section(std::string_view key, std::string_view help = "") const;

  /// throws ConfigError naming file, line and the closest known key
  void reject_unread() const;

  /// `configs/r20.yaml:12 (prune.0.sparsity)`: the place of a key for a message of one's own.
  std::string where(std::string_view key) const;

  /// In the order of the first read.
  const std::vector<OptionRecord>& records() const;

  /// Everything that was read, with its value or its default: the resolved form of this part of the recipe.
  Setting resolved() const;

 private:
  struct State;
  const Setting* given(std::string_view key) const;
  const OptionRecord& note(OptionRecord record) const;
  /// The elements of a list option, or the single element, each with its path; nullopt when absent.
  std::optional<std::vector<std::pair<Setting, std::string>>> elements(const OptionRecord& record) const;
  std::string path_of(std::string_view key) const;

  std::shared_ptr<State> state_;
};

/// `magnitude` -> {"magnitude", {}}; `{name: taylor, order: 2}` -> {"taylor", {order: 2}}.
/// `{block: [4, 1]}` (a map of one key that is not `name`) -> {"block", {value: [4, 1]}} for plugins that read `value`;
/// where that key's value is a map, it holds the options: `{taylor: {order: 2}}`.
/// throws ConfigError when there is no name
struct NamedOptions {
  std::string name;
  Options options;
};
NamedOptions split_name(const Setting& value, const std::string& path);

}  // namespace sparsify
