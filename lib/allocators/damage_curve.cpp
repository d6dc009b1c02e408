#include "allocators/damage_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace sparsify {

DamageCurve::DamageCurve(std::vector<std::pair<double, double>> points) : points_(std::move(points)) {
  points_.emplace_back(0, 0);
  std::sort(points_.begin(), points_.end());
  double largest = 0;
  for (auto& [sparsity, cost] : points_) cost = largest = std::max(largest, cost);
}

double DamageCurve::at(double sparsity) const {
  if (points_.size() < 2) return 0;
  size_t right = 1;
  while (right + 1 < points_.size() && points_[right].first < sparsity) ++right;
  const auto& [x0, y0] = points_[right - 1];
  const auto& [x1, y1] = points_[right];
  if (x1 <= x0) return y1;
  return y0 + (y1 - y0) * (sparsity - x0) / (x1 - x0);
}

namespace {

constexpr int64_t kSteps = 2000;

/// In whole steps; entry j of a layer is the number of steps taken from it.
class Knapsack {
 public:
  Knapsack(const DamageProblem& problem, double step) : problem_(problem), step_(step) {}

  std::vector<int64_t> solve() {
    const size_t layers = problem_.curves.size();
    const auto steps = static_cast<size_t>(std::llround(static_cast<double>(problem_.pruned) / step_));
    std::vector<double> best(steps + 1, kImpossible);
    best[0] = 0;
    std::vector<std::vector<uint16_t>> taken(layers);
    for (size_t i = 0; i < layers; ++i) {
      const size_t first = steps_for(problem_.least[i], /*up=*/true);
      const size_t last = std::max(first, std::min(steps, steps_for(problem_.most[i], /*up=*/false)));
      std::vector<double> cost;
      for (size_t j = first; j <= last; ++j) cost.push_back(cost_of(i, static_cast<int64_t>(j)));
      std::vector<double> next(steps + 1, kImpossible);
      taken[i].assign(steps + 1, 0);
      for (size_t b = first; b <= steps; ++b) {
        for (size_t j = first; j <= std::min(last, b); ++j) {
          const double sum = best[b - j] + cost[j - first];
          if (sum < next[b]) {
            next[b] = sum;
            taken[i][b] = static_cast<uint16_t>(j);
          }
        }
      }
      best = std::move(next);
    }
    size_t left = steps;
    while (left > 0 && best[left] == kImpossible) --left;
    std::vector<int64_t> pruned(layers);
    for (size_t i = layers; i-- > 0;) {
      const size_t j = best[left] == kImpossible && i + 1 == layers ? 0 : taken[i][left];
      pruned[i] = std::clamp(units_of(static_cast<int64_t>(j)), problem_.least[i], problem_.most[i]);
      left -= std::min(left, j);
    }
    return pruned;
  }

 private:
  static constexpr double kImpossible = std::numeric_limits<double>::infinity();

  int64_t units_of(int64_t steps) const { return std::llround(static_cast<double>(steps) * step_); }
  size_t steps_for(int64_t units, bool up) const {
    const double steps = static_cast<double>(units) / step_;
    return static_cast<size_t>(up ? std::ceil(steps - 1e-9) : std::floor(steps + 1e-9));
  }
  double cost_of(size_t layer, int64_t steps) const {
    return problem_.curves[layer].at(static_cast<double>(units_of(steps)) / static_cast<double>(problem_.units[layer]));
  }

  const DamageProblem& problem_;
  double step_;
};

/// Moves the sum to `problem.pruned`, unit by unit in order of slope.
void settle(const DamageProblem& problem, std::vector<int64_t>& pruned) {
  int64_t missing = problem.pruned - std::accumulate(pruned.begin(), pruned.end(), int64_t{0});
  const auto slope = [&](size_t i) {
    const auto units = static_cast<double>(problem.units[i]);
    const double next = static_cast<double>(pruned[i] + (missing > 0 ? 1 : -1));
    return problem.curves[i].at(next / units) - problem.curves[i].at(static_cast<double>(pruned[i]) / units);
  };
  while (missing != 0) {
    size_t cheapest = pruned.size();
    for (size_t i = 0; i < pruned.size(); ++i) {
      const bool room = missing > 0 ? pruned[i] < problem.most[i] : pruned[i] > problem.least[i];
      if (room && (cheapest == pruned.size() || slope(i) < slope(cheapest))) cheapest = i;
    }
    invariant(cheapest < pruned.size(), "between least and most there is room for the target");
    const int64_t room = missing > 0 ? problem.most[cheapest] - pruned[cheapest] : pruned[cheapest] - problem.least[cheapest];
    const int64_t chunk = std::max<int64_t>(1, std::abs(missing) / 64);  // slopes change with the units taken
    const int64_t moved = std::min({room, chunk, std::abs(missing)});
    pruned[cheapest] += missing > 0 ? moved : -moved;
    missing += missing > 0 ? -moved : moved;
  }
}

}  // namespace

std::vector<int64_t> least_damage(const DamageProblem& problem) {
  if (problem.curves.empty()) return {};
  const double step = std::max(1.0, static_cast<double>(problem.pruned) / static_cast<double>(kSteps));
  std::vector<int64_t> pruned = Knapsack(problem, step).solve();
  settle(problem, pruned);
  return pruned;
}

}  // namespace sparsify
