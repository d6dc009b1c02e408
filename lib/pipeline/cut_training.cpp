#include "pipeline/cut_training.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "mask/prunable.h"
#include "pipeline/cut_plan.h"

namespace sparsify {
namespace {

/// [length of the axis]: whether all elements at that index are zero.
std::vector<bool> zero_slices(const HostTensor& tensor, int axis) {
  const int64_t length = tensor.shape()[static_cast<size_t>(axis)];
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < tensor.shape().size(); ++i) inner *= tensor.shape()[i];
  std::vector<bool> zero(static_cast<size_t>(length), true);
  const std::vector<float> values = tensor.to_floats();
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) zero[i / static_cast<size_t>(inner) % static_cast<size_t>(length)] = false;
  }
  return zero;
}

bool is_trained(const std::string& kind) { return kind == "weight" || kind == "bias" || kind == "norm" || kind == "embedding"; }

}  // namespace

Removed zero_units(const ModelFile& file, const Structure& structure) {
  std::map<int, std::string> kinds;
  for (const PrunableTensor& tensor : find_tensors(file)) kinds.emplace(tensor.id, tensor.kind);
  Removed removed = structure.nothing_removed();
  for (const Group& group : structure.groups()) {
    if (!group.is_cuttable()) continue;
    std::vector<bool>& units = removed[static_cast<size_t>(group.id)];
    std::vector<bool> produced(units.size(), false);
    for (size_t unit = 0; unit < units.size(); ++unit) units[unit] = !group.unit_frozen[unit];
    for (const Member& member : group.members) {
      const auto kind = kinds.find(member.tensor_id);
      if (member.role == Role::Passive || kind == kinds.end() || !is_trained(kind->second)) continue;
      const std::vector<bool> zero = zero_slices(file.tensor_data(member.tensor_id), member.axis);
      for (size_t unit = 0; unit < units.size(); ++unit) {
        for (const int64_t index : member.indices[unit]) {
          units[unit] = units[unit] && zero[static_cast<size_t>(index)];
          produced[unit] = produced[unit] || member.role == Role::Output;
        }
      }
    }
    for (size_t unit = 0; unit < units.size(); ++unit) units[unit] = units[unit] && produced[unit];
    if (std::find(units.begin(), units.end(), false) == units.end()) units.front() = false;
    if (structure.empties(removed)) units.assign(units.size(), false);
  }
  return removed;
}

std::map<int, BitMask> unit_masks(const ModelFile& moment, const Recipe& recipe, const std::function<double(double)>& sparsity,
                                  const std::map<std::string, Shape>& inputs) {
  Recipe now = recipe;
  for (PruneRule& rule : now.prune) {
    const Mark mark = rule.sparsity.mark();
    if (const auto budget = budget_of(rule)) rule.sparsity = Setting(Setting::Map{{budget->kind, Setting(1 - sparsity(1 - budget->fraction))}});
    else rule.sparsity = Setting(sparsity(rule.sparsity.number()));
    rule.sparsity.set_mark(mark);
  }
  return plan_cut(moment, now, {.inputs = inputs, .zeros = &moment}).masks;
}

void require_gradual_cut(const PruneRule& rule, const std::string& path, const std::string& schedule) {
  const std::string pattern = split_name(rule.pattern, path + ".pattern").name;
  const auto refuse = [&](const char* key, const std::string& what, const std::string& fix) {
    throw ConfigError{{.what = what, .where = fmt::format("{} ({}.{})", rule.mark.text(), path, key), .fix = fix}};
  };
  if (schedule == "dynamic" || schedule == "movement") {
    refuse("pattern", fmt::format("the schedule \"{}\" chooses single weights, and the pattern {} removes whole units", schedule, pattern),
           "use schedule: one_shot, linear, cubic, exponential or imp");
  }
  if (pattern == "layer") refuse("pattern", "layers go at once, not gradually", "use schedule: one_shot, or the pattern channel");
  if (schedule == "imp" && !rule.sparsity.is_number()) {
    refuse("sparsity", "rounds follow a sparsity, not a budget", "give a number, or use schedule: linear, cubic or exponential");
  }
}

}  // namespace sparsify
