#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "tensor/bit_mask.h"
#include "tensor/score_view.h"

namespace sparsify {

/// Arrays that selection gets wrong first: ties, both zeros, denormals, infinities, one value everywhere.
inline std::vector<float> awkward_scores(std::mt19937& random, int64_t size) {
  std::vector<float> scores(static_cast<size_t>(size));
  std::normal_distribution<float> normal;
  const int kind = std::uniform_int_distribution<int>(0, 5)(random);
  const float special[] = {0.0f,
                           -0.0f,
                           std::numeric_limits<float>::denorm_min(),
                           -std::numeric_limits<float>::denorm_min(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           1.0f,
                           -1.0f,
                           std::numeric_limits<float>::max()};
  for (float& score : scores) {
    switch (kind) {
      case 0: score = normal(random); break;
      case 1: score = std::round(2 * normal(random)); break;  // few values, many ties
      case 2: score = 0.25f; break;
      case 3: score = special[random() % std::size(special)]; break;
      case 4: score = random() % 2 != 0 ? 0.0f : -0.0f; break;
      default: score = random() % 3 != 0 ? 0.0f : normal(random); break;  // already pruned
    }
  }
  return scores;
}

/// What selection means, written plainly: a stable sort by score, then the first `keep`.
inline BitMask naive_highest(ScoreView scores, int64_t keep) {
  std::vector<int64_t> order(static_cast<size_t>(scores.size()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  BitMask mask(scores.size(), /*kept=*/false);
  for (int64_t i = 0; i < std::clamp<int64_t>(keep, 0, scores.size()); ++i) mask.keep(order[static_cast<size_t>(i)]);
  return mask;
}

}  // namespace sparsify
