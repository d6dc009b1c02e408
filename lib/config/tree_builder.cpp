#include "config/tree_builder.h"

#include <fmt/core.h>

#include "base/error.h"

namespace sparsify {
namespace {

constexpr size_t kMostValues =
    1'000'000;                       // a few aliases of aliases would otherwise fill the memory
constexpr size_t kMostLevels = 200;  // Setting is walked recursively

size_t count_of(const Setting& value) {
  size_t count = 1;
  if (value.is_list()) {
    for (const Setting& element : value.list()) count += count_of(element);
  } else if (value.is_map()) {
    for (const auto& [name, element] : value.map()) count += count_of(element);
  }
  return count;
}

}  // namespace

bool TreeBuilder::expects_key() const {
  return !levels_.empty() && levels_.back().value.is_map() && !levels_.back().has_key;
}

std::string TreeBuilder::where(int line) const {
  std::string path;
  for (const Level& level : levels_) {
    const bool inside = level.value.is_list() || level.has_key;
    if (!inside) break;
    path += path.empty() ? "" : ".";
    path += level.value.is_list() ? std::to_string(level.value.list().size()) : level.key;
  }
  const std::string place = Mark{source_, line}.text();
  return path.empty() ? place : fmt::format("{} ({})", place, path);
}

void TreeBuilder::key(std::string name, int line) {
  Level& level = levels_.back();
  const auto [previous, fresh] = level.lines.emplace(name, line);
  level.key = std::move(name);
  level.key_line = line;
  level.has_key = true;
  if (!fresh) {
    throw ConfigError{{.what = fmt::format("the key \"{}\" is there twice, first in line {}",
                                           level.key, previous->second),
                       .where = where(line),
                       .fix = "keep one of the two"}};
  }
}

void TreeBuilder::add(Setting value, int line) {
  count_ += count_of(value);
  place(std::move(value), line);
}

void TreeBuilder::open(Setting value, int line) {
  if (levels_.size() == kMostLevels) {
    throw ConfigError{{.what = fmt::format("more than {} levels of lists and maps", kMostLevels),
                       .where = where(line),
                       .fix = "nest less deeply"}};
  }
  ++count_;
  Level level;
  level.value = std::move(value);
  level.line = line;
  levels_.push_back(std::move(level));
}

const Setting& TreeBuilder::close() {
  invariant(!levels_.empty(), "a list or map is open");
  Level level = std::move(levels_.back());
  levels_.pop_back();
  return place(std::move(level.value), level.line);
}

const Setting& TreeBuilder::place(Setting value, int line) {
  if (count_ > kMostValues) {
    throw ConfigError{{.what = fmt::format("more than {} values", kMostValues),
                       .where = where(line),
                       .fix = "keep arrays in data files and fewer aliases in the recipe"}};
  }
  if (levels_.empty()) {
    root_ = std::move(value);
    root_.set_own_mark({source_, line});
    done_ = true;
    return root_;
  }
  Level& level = levels_.back();
  if (level.value.is_list()) {
    value.set_own_mark({source_, line});
    return level.value.list().emplace_back(std::move(value));
  }
  invariant(level.has_key, "a value of a map has a key");
  value.set_own_mark({source_, level.key_line});
  level.has_key = false;
  return level.value.map().emplace_back(level.key, std::move(value)).second;
}

}  // namespace sparsify
