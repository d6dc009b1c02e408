#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tensor/bit_mask.h"

namespace sparsify {

/// Exact selection of the k highest scores by index, never by threshold: among equal scores the lower
/// flat index is kept (docs/design.md, "Exact"). -0.0 equals +0.0; a NaN score throws std::logic_error
/// because the caller must have refused it with the name of the layer.
///
/// Two passes over the scores and no copy of them: a radix histogram finds the k-th score, a second pass
/// writes the mask. Cost about two reads of the scores; memory O(1) beside the mask.

/// Keeps exactly `keep` of scores.size() (clamped to [0, size]).
BitMask select_highest(std::span<const float> scores, int64_t keep);

/// The k-th highest score and how to break its ties.
struct Threshold {
  uint32_t key = 0;        ///< order-preserving integer image of the score (see score_key)
  int64_t ties_to_keep = 0;  ///< of the elements with exactly this score, the first so many in index order
};

/// Monotone image of a float: a < b <=> score_key(a) < score_key(b); both zeros have one image.
inline uint32_t score_key(float score) {
  const auto bits = __builtin_bit_cast(uint32_t, score == 0.0f ? 0.0f : score);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/// A sequence of score arrays that is too large to hold at once: read(i) fills a buffer with array i.
/// It may be called several times for the same i and must give the same values.
struct ScoreArrays {
  std::vector<int64_t> sizes;
  std::function<std::span<const float>(size_t array, std::vector<float>& buffer)> read;
};

/// The threshold that keeps exactly `keep` over all arrays, ties in array order, then index order.
Threshold find_threshold(const ScoreArrays& arrays, int64_t keep);

/// How many of each array the threshold keeps, in array order (sums to `keep` of find_threshold).
std::vector<int64_t> count_kept(const ScoreArrays& arrays, const Threshold& threshold);

/// Marks what the threshold keeps. `ties_to_keep` is consumed: pass the same object for one array after another.
BitMask select_by_threshold(std::span<const float> scores, Threshold& threshold);

}  // namespace sparsify
