#include "solvers/reallocate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sparsify {
namespace {

constexpr int kCandidates = 400;

/// Errors below this are rounding.
constexpr double kLeastError = 1e-9;

struct Candidates {
  std::vector<int64_t> kept;   ///< rising
  std::vector<double> errors;  ///< falling
};

double error_at(const ErrorCurve& curve, double density) {
  for (size_t i = 1; i < curve.densities.size(); ++i) {
    if (density < curve.densities[i] && i + 1 < curve.densities.size()) continue;
    const double from = std::log(curve.densities[i - 1]);
    const double to = std::log(curve.densities[i]);
    const double low = std::log(std::max(kLeastError, curve.errors[i - 1]));
    const double high = std::log(std::max(kLeastError, curve.errors[i]));
    return std::exp(low + (high - low) * (std::log(density) - from) / (to - from));
  }
  return curve.errors.front();
}

Candidates candidates_of(const ErrorCurve& curve) {
  Candidates list;
  const int64_t least = std::max<int64_t>(curve.floor, 1);
  const double span = std::log(static_cast<double>(curve.units) / static_cast<double>(least));
  for (int i = 0; i <= kCandidates; ++i) {
    const auto kept = std::clamp<int64_t>(
        std::llround(static_cast<double>(least) * std::exp(span * static_cast<double>(i) / kCandidates)), curve.floor, curve.units);
    if (!list.kept.empty() && kept <= list.kept.back()) continue;
    list.kept.push_back(kept);
    list.errors.push_back(kept == curve.units ? 0 : error_at(curve, static_cast<double>(kept) / static_cast<double>(curve.units)));
  }
  return list;
}

size_t best_for(const Candidates& list, double price) {
  size_t best = 0;
  for (size_t i = 1; i < list.kept.size(); ++i) {
    const double gain = list.errors[best] - list.errors[i];
    if (gain > price * static_cast<double>(list.kept[i] - list.kept[best])) best = i;
  }
  return best;
}

}  // namespace

std::vector<int64_t> divide_by_error(const std::vector<ErrorCurve>& curves, int64_t total) {
  std::vector<Candidates> lists;
  for (const ErrorCurve& curve : curves) lists.push_back(candidates_of(curve));
  const auto choose = [&](double price) {
    std::vector<int64_t> kept;
    for (const Candidates& list : lists) kept.push_back(list.kept[best_for(list, price)]);
    return kept;
  };
  const auto sum = [](const std::vector<int64_t>& kept) { return std::accumulate(kept.begin(), kept.end(), int64_t{0}); };
  double low = -60;  // logarithms of the price: at the low end everything is kept
  double high = 20;
  for (int step = 0; step < 80; ++step) {
    const double middle = (low + high) / 2;
    (sum(choose(std::exp(middle))) > total ? low : high) = middle;
  }
  std::vector<int64_t> kept = choose(std::exp(high));
  // What is left over is less than a step of one curve for each layer: in proportion to the layers' sizes, largest first.
  int64_t rest = total - sum(kept);
  while (rest != 0) {
    int64_t room = 0;
    for (size_t i = 0; i < kept.size(); ++i) room += rest > 0 ? curves[i].units - kept[i] : kept[i] - curves[i].floor;
    if (room <= 0) break;
    const int64_t before = rest;
    for (size_t i = 0; i < kept.size() && rest != 0; ++i) {
      const int64_t own = rest > 0 ? curves[i].units - kept[i] : kept[i] - curves[i].floor;
      int64_t share = static_cast<int64_t>(static_cast<double>(std::abs(before)) * static_cast<double>(own) / static_cast<double>(room));
      if (share == 0 && own > 0 && before == rest) share = 1;
      share = std::min({share, own, std::abs(rest)});
      kept[i] += rest > 0 ? share : -share;
      rest -= rest > 0 ? share : -share;
    }
  }
  return kept;
}

}  // namespace sparsify
