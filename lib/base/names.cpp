#include "base/names.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>

namespace sparsify {
namespace {

/// Optimal string alignment distance; case counts as no difference.
size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string closest_name(std::string_view typed, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::string::npos;
  for (const std::string& candidate : candidates) {
    const bool prefix = typed.size() >= 3 && candidate.starts_with(typed);
    const size_t distance = prefix ? 1 : edit_distance(typed, candidate);
    const size_t limit = std::max<size_t>(1, std::max(typed.size(), candidate.size()) / 3);
    const bool shares_something = distance < std::max(typed.size(), candidate.size());
    if ((prefix || (distance <= limit && shares_something)) && distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggest(std::string_view typed, const std::vector<std::string>& candidates) {
  const std::string near = closest_name(typed, candidates);
  const std::string all = "all: " + join(candidates);
  return near.empty() ? "use one of these; " + all : "did you mean \"" + near + "\"? " + all;
}

bool glob_match(std::string_view pattern, std::string_view text) {
  if (pattern == text) return true;  // a name with brackets, as it is printed
  return ::fnmatch(std::string(pattern).c_str(), std::string(text).c_str(), FNM_NOESCAPE) == 0;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

}  // namespace sparsify
