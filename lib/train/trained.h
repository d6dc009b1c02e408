#pragma once

#include <set>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "train/settings.h"

namespace sparsify {

/// What keeps the optimizer from a tensor.
struct Freezing {
  bool frozen = false;
  int group = -1;  ///< index into TrainSettings::groups; -1: its kind (anchors, constants of formulas)
};

/// The last group that matches and says something decides; a constant of a formula is trained only with an lr of its own.
Freezing freezing_of(const TrainSettings& settings, const PrunableTensor& tensor);

/// Why training leaves a tensor as it is, as in `frozen by train.groups.1`; "" where the optimizer moves it.
std::string reason_untrained(const TrainSettings& settings, const PrunableTensor& tensor);

/// Ids of scale, mean and variance of the BatchNormalizations of which a group freezes one: they keep their statistics and normalise with them.
std::set<int> find_fixed_norms(const ModelFile& file, const TrainSettings& settings);

/// Ids of the means and variances that BatchNormalization keeps.
std::vector<int> find_running_statistics(const ModelFile& file);

}  // namespace sparsify
