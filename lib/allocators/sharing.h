#pragma once

#include <vector>

#include "allocators/allocator.h"

namespace sparsify {

/// Units that the target keeps over all layers.
int64_t target_kept(const AllocationTask& task);

/// The highest scores over all layers win, ties in layer order, then index order. Layers that would fall under their
/// floor are fixed at it and the rest is solved again, until no layer is under its floor.
///
///   read  scores to compare between layers; `task.scores` or an image of them
Budget keep_highest(const AllocationTask& task,
                    const std::function<ScoreView(size_t layer, std::vector<float>& buffer)>& read);

/// Densities in proportion to `weights`: keeps clamp(scale * weights[i] * units[i], floors[i], units[i]) with the scale
/// that meets the target, rounded so that the sum is exact (largest remainders, ties in layer order).
Budget keep_in_proportion(const AllocationTask& task, const std::vector<double>& weights);

}  // namespace sparsify
