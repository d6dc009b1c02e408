#pragma once

#include <set>
#include <string>
#include <vector>

#include "data/loader.h"
#include "solvers/network_pair.h"

namespace sparsify {

struct StatisticsRepair {
  std::vector<int> changed{};           ///< ids of tensors whose values changed
  std::vector<std::string> warnings{};  ///< layers that could be repaired in part only
  int64_t samples = 0;
};

/// Gives the outputs of every layer of the pruned network the mean and variance that they have in the dense one, channel by
/// channel, in the order of the network, so that each layer sees what those before it have become (statistics over the
/// calibration data, variances divided by n):
///
/// - In front of BatchNormalization its mean and variance become those of the pruned network (re-estimation).
/// - Else W_k *= s_k and b_k' = (b_k - mu_p) s_k + mu_d with s_k = sigma_d / sigma_p, which is the same algebra once
///   BatchNormalization has been folded (OBC's `statcorr`; Frantar et al. 2022, arXiv:2208.11580). Zeros stay +0.0.
/// - A layer with neither is left alone and named in a warning: its mean could not follow its variance.
///
/// Layers: all convolutions, and those products that are pruned.
///
///   networks  both programs; the pruned one holds its masked weights
///   pruned    ids of the weights that were pruned
StatisticsRepair repair_statistics_(NetworkPair& networks, const DataSource& data, const std::vector<PrunableTensor>& tensors,
                                    const std::set<int>& pruned);

}  // namespace sparsify
