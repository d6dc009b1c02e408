#include "allocators/sharing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

void check(const AllocationTask& task) {
  invariant(task.units.size() == task.layers.size() && task.floors.size() == task.layers.size(),
            "every layer has units and a floor");
  for (size_t i = 0; i < task.units.size(); ++i) {
    invariant(0 <= task.floors[i] && task.floors[i] <= task.units[i], "a floor is at most the layer's units");
  }
}

int64_t sum(const std::vector<int64_t>& values) { return std::accumulate(values.begin(), values.end(), int64_t{0}); }

}  // namespace

int64_t target_kept(const AllocationTask& task) {
  check(task);
  return kept_count(sum(task.units), task.sparsity);
}

Budget keep_highest(const AllocationTask& task,
                    const std::function<ScoreView(size_t layer, std::vector<float>& buffer)>& read) {
  int64_t keep = target_kept(task);
  Budget budget = task.floors;
  std::vector<size_t> free(task.layers.size());
  std::iota(free.begin(), free.end(), size_t{0});
  while (!free.empty()) {
    ScoreArrays arrays;
    for (const size_t layer : free) arrays.sizes.push_back(task.units[layer]);
    arrays.read = [&](size_t i, std::vector<float>& buffer) { return read(free[i], buffer); };
    const JointSelection selection = select_jointly(arrays, keep);
    std::vector<size_t> above;
    for (size_t i = 0; i < free.size(); ++i) {
      const size_t layer = free[i];
      if (selection.kept[i] < task.floors[layer]) {
        keep -= task.floors[layer];
      } else {
        budget[layer] = selection.kept[i];
        above.push_back(layer);
      }
    }
    if (above.size() == free.size()) break;
    for (const size_t layer : above) budget[layer] = task.floors[layer];
    free = std::move(above);
  }
  return budget;
}

Budget keep_in_proportion(const AllocationTask& task, const std::vector<double>& weights) {
  const int64_t target = std::max(target_kept(task), sum(task.floors));
  const auto ideal = [&](size_t i, double scale) {
    return std::clamp(scale * weights[i] * static_cast<double>(task.units[i]), static_cast<double>(task.floors[i]),
                      static_cast<double>(task.units[i]));
  };
  const auto total = [&](double scale) {
    double kept = 0;
    for (size_t i = 0; i < weights.size(); ++i) kept += ideal(i, scale);
    return kept;
  };
  double low = 0;
  double high = 1;
  for (const double weight : weights) high = std::max(high, 1 / weight);  // keeps everything
  for (int step = 0; step < 200; ++step) {
    const double middle = low + (high - low) / 2;
    (total(middle) < static_cast<double>(target) ? low : high) = middle;
  }
  Budget budget(weights.size());
  std::vector<size_t> order(weights.size());
  std::vector<double> remainder(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    const double exact = ideal(i, high);
    // A whole number that was missed by rounding is meant as that number.
    budget[i] = static_cast<int64_t>(std::floor(exact + 1e-9 * std::max(1.0, exact)));
    budget[i] = std::min(budget[i], task.units[i]);
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
      if (budget[i] + step > task.units[i] || budget[i] + step < task.floors[i]) continue;
      budget[i] += step;
      missing -= step;
    }
    invariant(missing != before, "between floors and units there is room for the target");
  }
  return budget;
}

}  // namespace sparsify
