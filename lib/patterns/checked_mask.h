#pragma once

#include <vector>

#include "base/plugin_call.h"
#include "patterns/pattern.h"

namespace sparsify {

/// Pattern::units(), at most one a weight.
/// throws ConfigError naming the plugin and the layer, also for what the plugin throws itself
int64_t checked_units(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer);

/// Pattern::unit_scores() with one finite score a unit.
/// throws as above
ScoreView checked_unit_scores(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer, ScoreView scores, std::vector<float>& buffer);

/// That a mask of the layer's size keeps as many units as were asked for. Of units of several weights it is known that each has
/// at least one; a pattern that fixes its count is free in this.
/// throws as above
void require_kept(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer, const BitMask& mask, int64_t keep);

/// Pattern::select() with its mask checked: of the layer's size, and as require_kept() wants it.
/// throws as above
BitMask checked_mask(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer, ScoreView scores, int64_t keep);

}  // namespace sparsify
