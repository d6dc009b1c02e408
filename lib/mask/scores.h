#pragma once

#include <functional>
#include <vector>

#include "mask/prunable.h"
#include "tensor/score_view.h"

namespace sparsify {

/// Scores of a list of layers, produced when asked for: `read(i, buffer)` gives the scores of layer i, one float32 per
/// weight in the layout of the stored tensor, finite, **higher = keep**. Criteria that need no evidence are cheap
/// enough to be evaluated again in every pass, so that the scores of a large model never exist at once.
struct Scores {
  std::vector<PrunableTensor> layers;
  std::function<ScoreView(size_t layer, std::vector<float>& buffer)> read;
};

/// How many units (weights, N:M groups' survivors, blocks) each layer keeps; parallel to Scores::layers.
using Budget = std::vector<int64_t>;

/// n - llround(sparsity * n): how many of n units are kept (docs/design.md, "Exact"; half away from zero).
int64_t kept_count(int64_t units, double sparsity);

}  // namespace sparsify
