#pragma once

#include <vector>

#include "base/plugin_call.h"
#include "criteria/criterion.h"

namespace sparsify {

/// score_layer() with its result checked. Magnitudes in place are those of weights that are known to be finite (require_finite).
/// throws ConfigError naming the plugin, the layer and the first score that is not finite, also for what the plugin throws itself
ScoreView checked_scores(const Criterion& criterion, const PluginName& name, const PrunableTensor& layer, const HostTensor& weights,
                         const LayerEvidence& evidence, std::vector<float>& buffer);

}  // namespace sparsify
