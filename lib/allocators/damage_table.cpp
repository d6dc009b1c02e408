#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "allocators/damage_curve.h"
#include "base/error.h"
#include "base/names.h"
#include "config/setting.h"
#include "tensor/block_size.h"

namespace sparsify {
namespace {

constexpr const char* kFix = "measure one: sparsify sensitivity MODEL --data D -o DIR, and name DIR/sensitivity.json";

[[noreturn]] void refuse(const std::string& path, std::string what, std::string fix = kFix) {
  throw ConfigError{{.what = std::move(what), .where = path, .fix = std::move(fix)}};
}

std::string text_of(const Setting& map, const char* key) {
  const Setting* value = map.find(key);
  return value != nullptr && value->is_text() ? value->text() : "";
}

std::optional<double> number_of(const Setting& map, const char* key) {
  const Setting* value = map.find(key);
  return value != nullptr && value->is_number() ? std::optional(value->number()) : std::nullopt;
}

const Setting::List& list_of(const Setting& map, const char* key, const std::string& path) {
  const Setting* value = map.find(key);
  if (value == nullptr || !value->is_list()) refuse(path, fmt::format("the sensitivity table has no list \"{}\"", key));
  return value->list();
}

/// `block 4x1` as --patterns takes it: {block: [4, 1]}.
std::string as_option(const std::string& pattern) {
  const auto block = parse_block(pattern);
  return block ? fmt::format("{{block: [{}, {}]}}", block->rows, block->columns) : pattern;
}

/// Which key of a point is the cost, and how it is turned into one.
class Cost {
 public:
  Cost(const Setting& table, const std::string& measure, const std::string& path) : key_(measure) {
    if (measure == "auto") key_ = has_divergence(table, path) ? "divergence" : "relative_error";
    if (key_ != "loss" && key_ != "metric") return;
    const Setting* dense = table.find("dense");
    const auto value = dense != nullptr ? number_of(*dense, key_.c_str()) : std::nullopt;
    if (!value) refuse(path, fmt::format("the table has no {}: it was measured without labels", key_), "use measure: divergence, or measure with labels");
    dense_ = *value;
    const Setting* metric = table.find("metric");
    const Setting* higher = metric != nullptr ? metric->find("higher_is_better") : nullptr;
    falls_ = key_ == "metric" && (higher == nullptr || !higher->is_flag() || higher->flag());
  }

  /// nullopt where the model broke down.
  std::optional<double> of(const Setting& point) const {
    const auto value = number_of(point, key_.c_str());
    if (!value) return std::nullopt;
    if (key_ == "relative_error") return *value * *value;
    return std::max(0.0, falls_ ? dense_ - *value : *value - dense_);
  }

 private:
  static bool has_divergence(const Setting& table, const std::string& path) {
    for (const Setting& layer : list_of(table, "layers", path)) {
      for (const Setting& point : list_of(layer, "points", path)) {
        if (number_of(point, "divergence")) return true;
      }
    }
    return false;
  }

  std::string key_;
  double dense_ = 0;
  bool falls_ = false;
};

Setting read_table(const std::string& path) {
  Setting table = read_yaml_file(path);
  if (text_of(table, "kind") != "sensitivity") refuse(path, "the file is no sensitivity table");
  if (const auto schema = number_of(table, "schema_version"); !schema || *schema != 1) {
    refuse(path, fmt::format("the sensitivity table has schema_version {}, this program reads 1", schema ? fmt::format("{}", *schema) : "none"));
  }
  return table;
}

}  // namespace

DamageOrigin read_damage_origin(const std::string& path) {
  const Setting table = read_table(path);
  const Setting* model = table.find("model");
  return {.sha256 = model == nullptr ? "" : text_of(*model, "sha256"), .criterion = text_of(table, "criterion")};
}

std::vector<DamageCurve> read_damage_curves(const std::string& path, const std::string& measure, const std::string& pattern,
                                            const std::vector<std::pair<std::string, int64_t>>& layers) {
  const Setting table = read_table(path);
  const Cost cost(table, measure, path);
  std::map<std::string, const Setting*> by_name;
  std::set<std::string> patterns;
  double worst = 0;
  for (const Setting& layer : list_of(table, "layers", path)) {
    for (const Setting& point : list_of(layer, "points", path)) {
      patterns.insert(text_of(point, "pattern"));
      if (text_of(point, "pattern") == pattern) by_name[text_of(layer, "initializer")] = &layer;  // a group's row has the name of a tensor as well
      worst = std::max(worst, cost.of(point).value_or(0));
    }
  }
  if (!patterns.contains(pattern)) {
    refuse(path, fmt::format("the table has no points of the pattern {}, only of {}", pattern, join({patterns.begin(), patterns.end()})),
           fmt::format("measure it: sparsify sensitivity ... --patterns '{}'", as_option(pattern)));
  }
  std::vector<DamageCurve> curves;
  std::vector<std::string> absent;
  for (const auto& [name, count] : layers) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      absent.push_back(name);
      continue;
    }
    const auto weights = number_of(*found->second, "weights");
    if (!weights || *weights != static_cast<double>(count)) {
      refuse(path, fmt::format("\"{}\" has {} weights here and {} in the table: another model", name, count, weights ? fmt::format("{}", *weights) : "none"));
    }
    std::vector<std::pair<double, double>> points;
    for (const Setting& point : list_of(*found->second, "points", path)) {
      const auto sparsity = number_of(point, "sparsity");
      if (text_of(point, "pattern") != pattern || !sparsity) continue;
      points.emplace_back(*sparsity, cost.of(point).value_or(2 * worst));
    }
    if (points.empty()) absent.push_back(name);
    curves.emplace_back(std::move(points));
  }
  if (!absent.empty()) {
    refuse(path, fmt::format("the table has no points of {} for {}", pattern, join(absent)), "measure all layers that are pruned (without --layers), or exclude them from the rule");
  }
  return curves;
}

}  // namespace sparsify
