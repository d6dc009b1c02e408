#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/bit_mask.h"
#include "tensor/score_view.h"

namespace sparsify {

/// Exact selection of the k highest scores by index, never by threshold: among equal scores the lower
/// flat index is kept (docs/design.md, "Exact"). -0.0 equals +0.0; a NaN score throws std::logic_error
/// because the caller must have refused it with the name of the layer.
///
/// A sample of 65,536 scores brackets the k-th one; one pass counts what is above the bracket and collects what is
/// inside, about 2 %. Where that fails (many equal scores), a radix histogram over two more passes decides. Neither
/// changes the result, and neither copies the scores.

/// Keeps exactly `keep` of scores.size() (clamped to [0, size]). One read of the scores.
BitMask select_highest(ScoreView scores, int64_t keep);

/// The k-th highest score and how to break its ties.
struct Threshold {
  int32_t key = 0;           ///< score_key of the score
  int64_t ties_to_keep = 0;  ///< of the elements with exactly this score, the first so many in index order
};

/// A sequence of score arrays that is too large to hold at once: read(i) gives array i, in `buffer` or elsewhere.
/// It may be called several times for the same i and must give the same values.
struct ScoreArrays {
  std::vector<int64_t> sizes;
  std::function<ScoreView(size_t array, std::vector<float>& buffer)> read;
};

struct JointSelection {
  Threshold threshold;
  std::vector<int64_t> kept;  ///< of each array; sums to what was asked for
};

/// Keeps exactly `keep` (clamped) over all arrays; ties in array order, then index order. One read of the scores beside
/// the sample's.
JointSelection select_jointly(const ScoreArrays& arrays, int64_t keep);

/// Marks what the threshold keeps. `ties_to_keep` is consumed: pass the same object for one array after another.
BitMask select_by_threshold(ScoreView scores, Threshold& threshold);

/// The first score that is NaN or infinite, or -1.
int64_t first_non_finite(ScoreView scores);

}  // namespace sparsify
