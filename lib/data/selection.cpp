#include "data/selection.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/names.h"
#include "base/rng.h"
#include "config/options.h"

namespace sparsify {
namespace {

constexpr IntegerRange kCount{.min = 1};

const Setting& find_set(const std::string& name, const std::map<std::string, Setting>& sets,
                        const std::string& where) {
  const auto found = sets.find(name);
  if (found != sets.end() && !found->second.is_null()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, unused] : sets) names.push_back(known);
  throw ConfigError{{.what = fmt::format("there is no data set \"{}\"", name),
                     .where = where,
                     .fix = names.empty()
                                ? fmt::format("describe it in the recipe under data: {}", name)
                                : suggest(name, names)}};
}

/// Brings `count` records, drawn without replacement, to the front.
void draw(std::vector<int64_t>& records, int64_t count, Rng rng) {
  const auto size = static_cast<int64_t>(records.size());
  for (int64_t i = 0; i < std::min(count, size - 1); ++i) {
    std::swap(records[i],
              records[i + static_cast<int64_t>(rng.below(static_cast<uint64_t>(size - i)))]);
  }
}

}  // namespace

ResolvedSet resolve_set(const std::string& name, const std::map<std::string, Setting>& sets) {
  std::vector<std::string> chain = {name};
  std::vector<const Setting*> maps = {&find_set(name, sets, "data")};
  ResolvedSet set{.keys = Setting(Setting::Map{}), .path = "data." + name, .cuts = {}};
  while (true) {
    const Options options(*maps.back(), "data." + chain.back());
    set.cuts.insert(set.cuts.begin(),
                    {.path = "data." + chain.back(),
                     .where = options.where("samples"),
                     .skip = options.optional_integer("skip", {.min = 0}).value_or(0),
                     .limit = options.optional_integer("limit", kCount).value_or(-1),
                     .samples = options.optional_integer("samples", kCount).value_or(-1)});
    const auto parent = options.optional_text("from");
    if (!parent) break;
    if (std::ranges::count(chain, *parent) > 0) {
      throw ConfigError{{.what = fmt::format("data sets take from one another in a circle: {}, {}",
                                             join(chain, " from "), *parent),
                         .where = options.where("from"),
                         .fix = "give one of them a format and a path"}};
    }
    maps.push_back(&find_set(*parent, sets, options.where("from")));
    chain.push_back(*parent);
  }
  for (auto map = maps.rbegin(); map != maps.rend(); ++map) {
    const bool is_own = map + 1 == maps.rend();
    for (const auto& [key, value] : (*map)->map()) {
      const bool is_cut = key == "skip" || key == "limit" || key == "samples" || key == "shuffle";
      if (key != "from" && (is_own || !is_cut)) set.keys.set(key, value);
    }
  }
  set.keys.set_own_mark(maps.front()->mark());
  return set;
}

std::vector<int64_t> select_records(const ResolvedSet& set, int64_t size, uint64_t seed) {
  std::vector<int64_t> records(static_cast<size_t>(size));
  std::iota(records.begin(), records.end(), 0);
  for (const ResolvedSet::Cut& cut : set.cuts) {
    if (cut.skip >= static_cast<int64_t>(records.size()) && cut.skip > 0) {
      throw ConfigError{{.what = fmt::format("skip is {}, there are {} records", cut.skip, records.size()),
                         .where = cut.where,
                         .fix = "skip fewer"}};
    }
    records.erase(records.begin(), records.begin() + cut.skip);
    const auto left = static_cast<int64_t>(records.size());
    if (cut.limit >= 0) records.resize(static_cast<size_t>(std::min(left, cut.limit)));
    if (cut.samples < 0) continue;
    if (cut.samples > static_cast<int64_t>(records.size())) {
      throw ConfigError{
          {.what = fmt::format("samples is {}, there are {}", cut.samples, records.size()),
           .where = cut.where,
           .fix = fmt::format("use at most {}", records.size())}};
    }
    draw(records, cut.samples, Rng(seed, "samples of " + cut.path));
    records.resize(static_cast<size_t>(cut.samples));
  }
  return records;
}

void shuffle_records(std::vector<int64_t>& records, uint64_t seed, uint64_t epoch) {
  draw(records, static_cast<int64_t>(records.size()), Rng(Rng(seed, "shuffle").bits_at(epoch)));
}

}  // namespace sparsify
