#pragma once

#include "base/plugin_call.h"
#include "schedules/schedule.h"

namespace sparsify {

/// Before any work: over a run to `target`, sampled at 100 steps, the sparsity is a number in [0, 1], never falls, and ends at the target.
/// throws ConfigError naming the plugin, the progress and what it gave there, also for what the plugin throws itself
void require_sound(const Schedule& schedule, const PluginName& name, double target);

}  // namespace sparsify
