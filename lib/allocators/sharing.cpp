#include "allocators/sharing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

int64_t sum(const std::vector<int64_t>& values) { return std::accumulate(values.begin(), values.end(), int64_t{0}); }

void check(const AllocationTask& task) {
  invariant(task.units.size() == task.layers.size() && task.floors.size() == task.layers.size(),
            "every layer has units and a floor");
  invariant(task.ceilings.empty() || task.ceilings.size() == task.layers.size(), "every layer has a ceiling, or none has");
  for (size_t i = 0; i < task.units.size(); ++i) {
    invariant(0 <= task.floors[i] && task.floors[i] <= task.ceiling(i) && task.ceiling(i) <= task.units[i],
              "a floor is at most the ceiling, and that is at most the layer's units");
  }
}

}  // namespace

int64_t target_kept(const AllocationTask& task) {
  check(task);
  int64_t most = 0;
  for (size_t i = 0; i < task.units.size(); ++i) most += task.ceiling(i);
  return std::clamp(kept_count(sum(task.units), task.sparsity), sum(task.floors), most);
}

Budget keep_highest(const AllocationTask& task,
                    const std::function<ScoreView(size_t layer, std::vector<float>& buffer)>& read) {
  int64_t keep = target_kept(task);
  Budget budget(task.layers.size());
  std::vector<size_t> free(task.layers.size());
  std::iota(free.begin(), free.end(), size_t{0});
  while (!free.empty()) {
    ScoreArrays arrays;
    for (const size_t layer : free) arrays.sizes.push_back(task.units[layer]);
    arrays.read = [&](size_t i, std::vector<float>& buffer) { return read(free[i], buffer); };
    const JointSelection selection = select_jointly(arrays, keep);
    int64_t surplus = 0;  // of the limits over the selection: the side that weighs more is fixed first, the other may yet give way
    for (size_t i = 0; i < free.size(); ++i) {
      budget[free[i]] = std::clamp(selection.kept[i], task.floors[free[i]], task.ceiling(free[i]));
      surplus += budget[free[i]] - selection.kept[i];
    }
    if (surplus == 0) break;
    std::vector<size_t> rest;
    for (size_t i = 0; i < free.size(); ++i) {
      const size_t layer = free[i];
      const bool fixed = surplus > 0 ? selection.kept[i] < budget[layer] : selection.kept[i] > budget[layer];
      if (fixed) keep -= budget[layer];
      else rest.push_back(layer);
    }
    free = std::move(rest);
  }
  return budget;
}

Budget keep_at_level(const AllocationTask& task, const std::function<double(size_t layer, double level)>& ideal, double low,
                     double high) {
  const int64_t target = target_kept(task);
  const size_t layers = task.layers.size();
  const auto limited = [&](size_t i, double level) {
    return std::clamp(ideal(i, level), static_cast<double>(task.floors[i]), static_cast<double>(task.ceiling(i)));
  };
  const auto total = [&](double level) {
    double kept = 0;
    for (size_t i = 0; i < layers; ++i) kept += limited(i, level);
    return kept;
  };
  for (int step = 0; step < 200; ++step) {
    const double middle = low + (high - low) / 2;
    (total(middle) < static_cast<double>(target) ? low : high) = middle;
  }
  Budget budget(layers);
  std::vector<size_t> order(layers);
  std::vector<double> remainder(layers);
  for (size_t i = 0; i < layers; ++i) {
    const double exact = limited(i, high);
    // A whole number that was missed by rounding is meant as that number.
    budget[i] = static_cast<int64_t>(std::floor(exact + 1e-9 * std::max(1.0, exact)));
    budget[i] = std::min(budget[i], task.ceiling(i));
    remainder[i] = exact - static_cast<double>(budget[i]);
    order[i] = i;
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return remainder[a] > remainder[b]; });
  int64_t missing = target - sum(budget);
  while (missing != 0) {
    const int64_t before = missing;
    for (size_t k = 0; k < order.size() && missing != 0; ++k) {
      const size_t i = missing > 0 ? order[k] : order[order.size() - 1 - k];
      const int64_t step = missing > 0 ? 1 : -1;
      if (budget[i] + step > task.ceiling(i) || budget[i] + step < task.floors[i]) continue;
      budget[i] += step;
      missing -= step;
    }
    invariant(missing != before, "between floors and ceilings there is room for the target");
  }
  return budget;
}

Budget keep_in_proportion(const AllocationTask& task, const std::vector<double>& weights) {
  double everything = 1;
  for (const double weight : weights) everything = std::max(everything, 1 / weight);
  return keep_at_level(
      task, [&](size_t i, double level) { return level * weights[i] * static_cast<double>(task.units[i]); }, 0, everything);
}

}  // namespace sparsify
