#include "pipeline/cut_choice.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/names.h"
#include "pipeline/cut_limits.h"

namespace sparsify {
namespace {

/// Groups with the same signature differ in their place only.
std::string signature_of(const Group& group) {
  std::vector<std::string> members;
  for (const Member& member : group.members) {
    const size_t per_unit = member.indices.empty() ? 0 : member.indices.front().size();
    members.push_back(fmt::format("{}.{}.{}", static_cast<int>(member.role), member.axis, per_unit));
  }
  std::sort(members.begin(), members.end());
  return fmt::format("{} {} {}", group.kind, group.units, join(members, " "));
}

/// Channels that a layer of the group loses with a unit: several where they are the groups of a convolution. Heads count as they are.
int64_t channels_a_unit(const Group& group) {
  int64_t common = 0;
  for (const Member& member : group.members) {
    if (member.role != Role::Output || group.kind != "channel") continue;
    for (const std::vector<int64_t>& unit : member.indices) common = std::gcd(common, static_cast<int64_t>(unit.size()));
  }
  return std::max<int64_t>(1, common);
}

int64_t least_width(const CutChoice::Task& task, const Group& group) {
  const auto share = static_cast<int64_t>(std::ceil(task.min_density * static_cast<double>(group.units) - 1e-9));
  return std::max({int64_t{1}, task.options.min_width, share});
}

/// Options of the user's own that keep units: `round_to (8)`.
std::vector<std::string> keeping_options(const CutChoice::Task& task, bool rounds = true) {
  std::vector<std::string> names;
  if (rounds && task.options.round_to > 1) names.push_back(fmt::format("round_to ({})", task.options.round_to));
  if (task.options.min_width > 1) names.push_back(fmt::format("min_width ({})", task.options.min_width));
  if (task.min_density > 0) names.push_back(fmt::format("min_density ({})", task.min_density));
  return names;
}

/// `ask for at most 0.5, lower min_width (8), or select more; what stays for certain: ...`
std::string ways_out(std::vector<std::string> first, const std::vector<std::string>& options, const std::vector<std::string>& obstacles) {
  if (!options.empty()) first.push_back("lower " + join(options, " and "));
  first.emplace_back(first.empty() ? "select more" : "or select more");
  return join(first, ", ") + (obstacles.empty() ? "" : "; what stays for certain: " + join(obstacles, "; "));
}

}  // namespace

std::string unit_of_budget(const std::string& budget) {
  if (budget == "memory") return "bytes of activations";
  if (budget == "bytes") return "bytes of the file";
  return budget == "macs" ? "MACs" : budget == "params" ? "parameters" : budget;
}

std::vector<std::string> main_obstacles(const Structure& structure, size_t count) {
  std::map<std::string, int64_t> weight;
  for (const Group& group : structure.groups()) {
    for (const Freeze& freeze : group.frozen) {
      const std::string text = freeze.node.empty() ? freeze.reason : fmt::format("\"{}\" ({}): {}", freeze.node, freeze.op, freeze.reason);
      weight[text] += group.units * static_cast<int64_t>(group.members.size());
    }
  }
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [text, size] : weight) sorted.emplace_back(-size, text);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> texts;
  for (size_t i = 0; i < sorted.size() && i < count; ++i) texts.push_back(sorted[i].second);
  return texts;
}

int64_t CutChoice::floor_of(const Task& task, const Group& group) const { return least_width(task, group); }

int64_t CutChoice::kept_of(const Removed& removed, size_t group) const { return std::count(removed[group].begin(), removed[group].end(), false); }

/// What goes first comes first; among equal scores the lower unit is kept.
std::vector<CutChoice::Unit> CutChoice::ranked(const Task& task, const Removed& removed) {
  std::vector<Unit> units;
  for (const auto& [index, scores] : scorer_.score(task.groups, removed)) {
    const Group& group = structure_.groups()[index];
    for (size_t unit = 0; unit < scores.size(); ++unit) {
      if (!removed[index][unit] && !group.unit_frozen[unit]) units.push_back({index, unit, scores[unit]});
    }
  }
  if (task.options.scope != "global") rank_within_(task, units);
  std::sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) { return std::tie(a.key, b.group, b.unit) < std::tie(b.key, a.group, a.unit); });
  return units;
}

/// Keys become places within the group, or within all groups alike, as fractions.
void CutChoice::rank_within_(const Task& task, std::vector<Unit>& units) const {
  std::map<std::string, std::vector<size_t>> classes;
  for (size_t i = 0; i < units.size(); ++i) {
    const Group& group = structure_.groups()[units[i].group];
    classes[task.options.scope == "layer" ? group.name : signature_of(group)].push_back(i);
  }
  for (auto& [name, members] : classes) {
    std::sort(members.begin(), members.end(), [&](size_t a, size_t b) {
      return std::tie(units[a].key, units[b].group, units[b].unit) < std::tie(units[b].key, units[a].group, units[a].unit);
    });
    for (size_t place = 0; place < members.size(); ++place) {
      units[members[place]].key = static_cast<double>(place + 1) / static_cast<double>(members.size());
    }
  }
}

std::vector<CutChoice::Unit> CutChoice::allowed(const Task& task, const Removed& removed, std::vector<Unit> units) const {
  std::map<size_t, int64_t> room;
  for (const size_t group : task.groups) room[group] = kept_of(removed, group) - floor_of(task, structure_.groups()[group]);
  std::vector<Unit> result;
  for (const Unit& unit : units) {
    if (room[unit.group]-- > 0) result.push_back(unit);
  }
  // A part of a group (half of a Split, one side of a Concat) must not vanish either: its last unit stays.
  while (structure_.empties(with_first(task, removed, result, result.size(), /*round=*/false))) {
    size_t fine = 0;
    size_t empty = result.size();
    while (empty - fine > 1) {
      const size_t middle = fine + (empty - fine) / 2;
      (structure_.empties(with_first(task, removed, result, middle, /*round=*/false)) ? empty : fine) = middle;
    }
    result.erase(result.begin() + static_cast<std::ptrdiff_t>(empty - 1));
  }
  return result;
}

/// The first `count` units are removed, but for those that would leave a width that is no multiple of round_to.
Removed CutChoice::with_first(const Task& task, const Removed& removed, const std::vector<Unit>& units, size_t count, bool round) const {
  Removed result = removed;
  std::map<size_t, std::vector<size_t>> fresh;
  for (size_t i = 0; i < count; ++i) {
    result[units[i].group][units[i].unit] = true;
    fresh[units[i].group].push_back(units[i].unit);
  }
  for (auto& [group, taken] : fresh) {
    const int64_t width = channels_a_unit(structure_.groups()[group]);
    while (round && kept_of(result, group) * width % task.options.round_to != 0 && !taken.empty()) {
      result[group][taken.back()] = false;
      taken.pop_back();
    }
  }
  return result;
}

Removed CutChoice::by_layer(const Task& task, const Removed& removed, const std::vector<Unit>& units, double share, const Removed& start) const {
  std::vector<Unit> taken;
  for (const size_t index : task.groups) {
    const int64_t wanted = std::llround(task.sparsity * share * static_cast<double>(structure_.groups()[index].units));
    int64_t have = structure_.groups()[index].units - kept_of(removed, index) - (structure_.groups()[index].units - kept_of(start, index));
    for (const Unit& unit : units) {
      if (unit.group != index || have >= wanted) continue;
      taken.push_back(unit);
      ++have;
    }
  }
  return with_first(task, removed, taken, taken.size());
}

/// Memory is a largest value over time: only what is alive where the graph holds too much may go, and it may stay as soon as that
/// place is below the limit.
Removed CutChoice::below_peak(const Task& task, const Removed& removed, const std::vector<Unit>& units, int64_t limit) const {
  std::vector<Unit> taken;
  std::vector<Unit> left = units;
  Removed result = removed;
  const auto nodes_above = [&](const std::vector<Unit>& list, size_t count) { return costs_.peaks_above(limit, with_first(task, removed, list, count)).nodes; };
  while (true) {
    const MemoryPeaks peaks = costs_.peaks_above(limit, result);
    if (peaks.nodes == 0) break;
    std::map<size_t, std::vector<bool>> reaches;  // units of groups; some lie in a later part only, as behind a padded shortcut
    for (const size_t group : task.groups) {
      const Group& units_of = structure_.groups()[group];
      std::vector<bool>& units_there = reaches[group];
      units_there.assign(static_cast<size_t>(units_of.units), false);
      for (const ValueAxis& place : units_of.values) {
        if (!peaks.values.contains(place.value)) continue;
        const std::vector<int64_t> counts = structure_.indices_a_unit(place.value, place.axis, units_of);
        for (size_t unit = 0; unit < counts.size(); ++unit) units_there[unit] = units_there[unit] || counts[unit] > 0;
      }
    }
    std::vector<Unit> list = taken;
    std::copy_if(left.begin(), left.end(), std::back_inserter(list), [&](const Unit& unit) { return reaches.at(unit.group)[unit.unit]; });
    invariant(list.size() > taken.size() && nodes_above(list, list.size()) < peaks.nodes, "what brings memory below the limit is alive above it");
    size_t few = taken.size();
    size_t enough = list.size();
    while (enough - few > 1) {
      const size_t middle = few + (enough - few) / 2;
      (nodes_above(list, middle) < peaks.nodes ? enough : few) = middle;
    }
    list.resize(enough);
    taken = std::move(list);
    result = with_first(task, removed, taken, taken.size());
    std::set<std::pair<size_t, size_t>> gone;
    for (const Unit& unit : taken) gone.emplace(unit.group, unit.unit);
    std::erase_if(left, [&](const Unit& unit) { return gone.contains({unit.group, unit.unit}); });
  }
  // What was taken for one peak may not be needed any more once another one is met: it comes back, the highest score first.
  std::sort(taken.begin(), taken.end(), [](const Unit& a, const Unit& b) { return std::tie(a.key, b.group, b.unit) < std::tie(b.key, a.group, a.unit); });
  std::set<size_t> seen;
  for (auto last = taken.rbegin(); last != taken.rend(); ++last) seen.insert(last->group);
  std::vector<size_t> order;
  for (auto last = taken.rbegin(); last != taken.rend(); ++last) {
    if (seen.erase(last->group) > 0) order.push_back(last->group);
  }
  for (const size_t group : order) {
    const auto first_of_group = [&](size_t count) {
      std::vector<Unit> list;
      for (const Unit& unit : taken) {
        if (unit.group != group || count > 0) list.push_back(unit);
        if (unit.group == group && count > 0) --count;
      }
      return list;
    };
    const auto all = static_cast<size_t>(std::count_if(taken.begin(), taken.end(), [&](const Unit& unit) { return unit.group == group; }));
    size_t needed = 0;
    for (size_t enough = all; needed < enough;) {
      const size_t middle = needed + (enough - needed) / 2;
      const std::vector<Unit> list = first_of_group(middle);
      if (nodes_above(list, list.size()) == 0) enough = middle;
      else needed = middle + 1;
    }
    taken = first_of_group(needed);
  }
  return with_first(task, removed, taken, taken.size());
}

Removed CutChoice::step(const Task& task, const Removed& removed, double share, const Removed& start) {
  const std::vector<Unit> units = allowed(task, removed, ranked(task, removed));
  if (task.sparsity >= 0 && task.options.scope == "layer") return by_layer(task, removed, units, share, start);
  if (task.sparsity >= 0) {
    int64_t total = 0;
    int64_t have = 0;
    for (const size_t group : task.groups) {
      total += structure_.groups()[group].units;
      have += kept_of(start, group) - kept_of(removed, group);
    }
    const int64_t wanted = std::llround(task.sparsity * share * static_cast<double>(total)) - have;
    if (wanted > static_cast<int64_t>(units.size())) {
      const double most = static_cast<double>(have + static_cast<int64_t>(units.size())) / static_cast<double>(total);
      const double rounded = std::floor(most * 1e4) / 1e4;
      std::vector<std::string> less;
      if (rounded > 0) less.push_back(fmt::format("ask for at most {:.4f}", rounded));
      throw ConfigError{{.what = fmt::format("sparsity {} cannot be reached: at most {:.4f} of the {} units can be removed", task.sparsity, most, total),
                         .where = task.where,
                         .fix = ways_out(less, keeping_options(task, /*rounds=*/false), main_obstacles(structure_, 3))}};
    }
    return with_first(task, removed, units, static_cast<size_t>(std::max<int64_t>(wanted, 0)));
  }
  const int64_t before = costs_.cost(task.budget, start);
  const int64_t limit = before - std::llround(share * static_cast<double>(before - task.limit));
  if (before == 0) {
    throw ConfigError{{.what = fmt::format("a budget of {} needs shapes, and the graph leaves all of them open", task.budget),
                       .where = task.where,
                       .fix = "give the input's shape (--input NAME:1,3,224,224), or a budget of params"}};
  }
  if (costs_.cost(task.budget, removed) <= limit) return removed;
  const int64_t least = costs_.cost(task.budget, with_first(task, removed, units, units.size()));
  if (least > limit) {
    throw ConfigError{{.what = fmt::format("the budget of {} {} cannot be met: the least possible is {} ({:.4f} of the input's {})", task.limit,
                                           unit_of_budget(task.budget), least, static_cast<double>(least) / static_cast<double>(std::max<int64_t>(before, 1)), before),
                       .where = task.where,
                       .fix = ways_out({"allow more"}, keeping_options(task), main_obstacles(structure_, 3))}};
  }
  if (task.budget == "memory") return below_peak(task, removed, units, limit);
  size_t few = 0;  // does not meet the limit
  size_t enough = units.size();
  while (enough - few > 1) {
    const size_t middle = few + (enough - few) / 2;
    (costs_.cost(task.budget, with_first(task, removed, units, middle)) <= limit ? enough : few) = middle;
  }
  return with_first(task, removed, units, enough);
}

std::string why_nothing(const Structure& structure, const CutChoice::Task& task, const Removed& removed) {
  if (task.sparsity < 0) return fmt::format("the budget of {} {} holds already", task.limit, unit_of_budget(task.budget));
  const bool alone = task.options.scope == "layer";
  int64_t total = 0;
  int64_t widest = 0;
  bool has_room = false;
  for (const size_t index : task.groups) {
    const Group& group = structure.groups()[index];
    total += group.units;
    widest = std::max(widest, group.units);
    has_room = has_room || std::count(removed[index].begin(), removed[index].end(), false) > least_width(task, group);
  }
  if (std::llround(task.sparsity * static_cast<double>(alone ? widest : total)) == 0) {
    return fmt::format("sparsity {} of {} {} rounds to none", task.sparsity, alone ? widest : total, alone ? "units, the widest group," : "units");
  }
  if (has_room && task.options.round_to > 1) return fmt::format("at this sparsity no group loses enough units to leave a multiple of round_to ({})", task.options.round_to);
  const std::vector<std::string> options = keeping_options(task, /*rounds=*/false);
  return options.empty() ? "as many units as it asks for are gone already" : join(options, " and ") + " keeps every unit";
}

Removed CutChoice::choose(const Task& task, const Removed& removed, const Removed& start) {
  Removed result = removed;
  for (int64_t i = 1; i <= task.options.steps; ++i) {
    result = step(task, result, static_cast<double>(i) / static_cast<double>(task.options.steps), start);
  }
  return result;
}

}  // namespace sparsify
