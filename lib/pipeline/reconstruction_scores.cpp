#include "pipeline/reconstruction_scores.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/module.h"
#include "pipeline/calibration.h"

namespace sparsify {
namespace {

EliminationGroup task_of(const Group& group, const std::vector<bool>& gone, const std::map<int, PrunableTensor>& tensors) {
  EliminationGroup task{.name = group.name, .units = group.units, .frozen = group.unit_frozen, .gone = gone};
  for (const Member& member : group.members) {
    const auto found = tensors.find(member.tensor_id);
    if (member.role != Role::Input || found == tensors.end()) continue;
    task.readers.push_back({.tensor = found->second, .axis = member.axis, .indices = member.indices});
  }
  return task;
}

}  // namespace

std::vector<double> convex_slopes(const std::vector<double>& errors, const std::vector<double>& widths) {
  struct Pool {
    double rise;
    double width;
    size_t steps;
    double slope() const { return rise / width; }
  };
  std::vector<Pool> pools;
  double before = 0;
  for (size_t i = 0; i < errors.size(); ++i) {
    pools.push_back({errors[i] - before, widths[i], 1});
    before = errors[i];
    while (pools.size() > 1 && pools[pools.size() - 2].slope() >= pools.back().slope()) {
      Pool& into = pools[pools.size() - 2];
      into.rise += pools.back().rise;
      into.width += pools.back().width;
      into.steps += pools.back().steps;
      pools.pop_back();
    }
  }
  std::vector<double> slopes;
  for (const Pool& pool : pools) slopes.insert(slopes.end(), pool.steps, pool.slope());
  return slopes;
}

ReconstructionScores::ReconstructionScores(const ModelFile& file, const Recipe& recipe, const Structure& structure, const CutCosts& costs, std::string budget,
                                           const std::vector<size_t>& groups, const Removed& removed, int64_t samples)
    : structure_(structure), costs_(costs), budget_(budget == "memory" ? "activations" : std::move(budget)) {  // a peak does not move with one unit
  std::map<int, PrunableTensor> tensors;
  for (PrunableTensor& tensor : find_tensors(file)) tensors.emplace(tensor.id, std::move(tensor));
  const DataSource calibration = open_calibration(file, recipe, "the criterion reconstruction", samples);
  EliminationTask task{.calibration = &calibration, .samples = samples, .threads = recipe.threads, .device = recipe.device == "auto" ? "cpu" : recipe.device};
  for (const size_t index : groups) {
    EliminationGroup group = task_of(structure.groups()[index], removed[index], tensors);
    worths_[index] = savings(index, removed);
    for (size_t unit = 0; unit < group.frozen.size(); ++unit) {
      if (worths_[index][unit] <= 0) group.frozen[unit] = true;
    }
    group.worth = worths_[index];
    task.groups.push_back(std::move(group));
  }
  load_module("torch");
  const std::vector<Elimination> found = Registry<EliminationEngine>::instance().make("backward", Options())->eliminate(file, task);
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!found[i].note.empty()) {
      notes_[groups[i]] = found[i].note;
      continue;
    }
    std::vector<double> widths;
    for (const int64_t unit : found[i].order) widths.push_back(worths_[groups[i]][static_cast<size_t>(unit)]);
    const std::vector<double> slopes = convex_slopes(found[i].errors, widths);
    std::vector<double>& losses = losses_[groups[i]];
    losses.assign(worths_[groups[i]].size(), std::numeric_limits<double>::max());
    for (size_t place = 0; place < slopes.size(); ++place) {
      // Units of one slope go in the order of the elimination.
      const double later = 1 + 1e-9 * static_cast<double>(place);
      losses[static_cast<size_t>(found[i].order[place])] = (slopes[place] + 1e-30) * later;
    }
  }
}

std::vector<double> ReconstructionScores::savings(size_t group, const Removed& removed) const {
  const Group& units = structure_.groups()[group];
  std::vector<double> saved(static_cast<size_t>(units.units), budget_.empty() ? 1 : 0);
  if (budget_.empty()) return saved;
  const int64_t now = costs_.cost(budget_, removed);
  std::map<std::vector<size_t>, double> known;  // units with as many indices in every member save the same
  Removed after = removed;
  for (size_t unit = 0; unit < saved.size(); ++unit) {
    if (removed[group][unit] || units.unit_frozen[unit]) continue;
    std::vector<size_t> counts;
    for (const Member& member : units.members) counts.push_back(member.indices[unit].size());
    const auto [one, fresh] = known.try_emplace(counts, 0);
    if (fresh) {
      after[group][unit] = true;
      if (!structure_.empties(after)) one->second = std::max(0.0, static_cast<double>(now - costs_.cost(budget_, after)));
      after[group][unit] = false;
    }
    saved[unit] = one->second;
  }
  return saved;
}

std::vector<double> ReconstructionScores::score(size_t group, const Removed& removed) const {
  const auto found = losses_.find(group);
  if (found == losses_.end()) return {};
  const std::vector<double> saved = savings(group, removed);
  const std::vector<double>& worth = worths_.at(group);
  std::vector<double> scores = found->second;
  for (size_t unit = 0; unit < scores.size(); ++unit) {
    const bool goes = saved[unit] > 0 && scores[unit] < std::numeric_limits<double>::max();
    scores[unit] = goes ? scores[unit] * worth[unit] / saved[unit] : std::numeric_limits<double>::max();
  }
  return scores;
}

}  // namespace sparsify
