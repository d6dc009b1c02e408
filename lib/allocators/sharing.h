#pragma once

#include <vector>

#include "allocators/allocator.h"

namespace sparsify {

/// Units that the target keeps over all layers, moved into what floors and ceilings allow.
int64_t target_kept(const AllocationTask& task);

/// The highest scores over all layers win, ties in layer order, then index order. Layers that would fall under their
/// floor or rise above their ceiling are fixed there and the rest is solved again, until every layer is within its limits.
///
///   read  scores to compare between layers; `task.scores` or an image of them
Budget keep_highest(const AllocationTask& task,
                    const std::function<ScoreView(size_t layer, std::vector<float>& buffer)>& read);

/// Keeps clamp(ideal(i, level), floors[i], ceilings[i]) with the level in [low, high] that meets the target, rounded so that
/// the sum is exact (largest remainders, ties in layer order). `ideal` does not fall with the level.
Budget keep_at_level(const AllocationTask& task, const std::function<double(size_t layer, double level)>& ideal, double low,
                     double high);

/// Densities in proportion to `weights`: keep_at_level of level * weights[i] * units[i].
Budget keep_in_proportion(const AllocationTask& task, const std::vector<double>& weights);

}  // namespace sparsify
