#include "structure/permute.h"

#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"

namespace sparsify {

std::vector<std::vector<int64_t>> interchangeable_units(const Structure& structure, const Group& group) {
  std::vector<std::vector<int64_t>> signatures(static_cast<size_t>(group.units));
  for (const Member& member : group.members) {
    for (size_t unit = 0; unit < signatures.size(); ++unit) signatures[unit].push_back(static_cast<int64_t>(member.indices[unit].size()));
  }
  for (const ValueAxis& place : group.values) {
    const std::vector<int64_t> counts = structure.indices_a_unit(place.value, place.axis, group);
    for (size_t unit = 0; unit < signatures.size(); ++unit) signatures[unit].push_back(counts[unit]);
  }
  std::vector<std::vector<int64_t>> classes;
  std::map<std::vector<int64_t>, size_t> known;
  for (size_t unit = 0; unit < signatures.size(); ++unit) {
    if (group.unit_frozen[unit]) continue;
    const auto [entry, fresh] = known.try_emplace(std::move(signatures[unit]), classes.size());
    if (fresh) classes.emplace_back();
    classes[entry->second].push_back(static_cast<int64_t>(unit));
  }
  return classes;
}

std::map<int, std::vector<AxisSlice>> permuted_axes(const ModelFile& file, const Structure& structure, const std::vector<UnitOrder>& orders) {
  std::set<int> positions;
  for (const Count& count : structure.counts()) {
    if (count.tensor_id >= 0) positions.insert(count.tensor_id);
  }
  std::map<std::pair<int, int>, std::vector<int64_t>> axes;
  for (const UnitOrder& one : orders) {
    const Group& group = structure.groups().at(static_cast<size_t>(one.group));
    invariant(static_cast<int64_t>(one.order.size()) == group.units, "an order names every unit");
    for (const Member& member : group.members) {
      if (positions.contains(member.tensor_id)) continue;
      const int64_t length = file.tensor(member.tensor_id).shape[static_cast<size_t>(member.axis)];
      std::vector<int64_t> step(static_cast<size_t>(length));
      std::iota(step.begin(), step.end(), int64_t{0});
      for (size_t unit = 0; unit < one.order.size(); ++unit) {
        const std::vector<int64_t>& to = member.indices[unit];
        const std::vector<int64_t>& from = member.indices[static_cast<size_t>(one.order[unit])];
        invariant(to.size() == from.size(), "units that change places have as many indices");
        for (size_t i = 0; i < to.size(); ++i) step[static_cast<size_t>(to[i])] = from[i];
      }
      const auto [entry, fresh] = axes.try_emplace({member.tensor_id, member.axis}, step);
      if (fresh) continue;
      std::vector<int64_t> both(step.size());
      for (size_t i = 0; i < step.size(); ++i) both[i] = entry->second[static_cast<size_t>(step[i])];
      entry->second = std::move(both);
    }
  }
  std::map<int, std::vector<AxisSlice>> result;
  for (auto& [place, order] : axes) {
    bool moves = false;
    for (size_t i = 0; i < order.size(); ++i) moves = moves || order[i] != static_cast<int64_t>(i);
    if (moves) result[place.first].push_back({place.second, std::move(order)});
  }
  return result;
}

}  // namespace sparsify
