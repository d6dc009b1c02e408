#pragma once

#include "config/setting.h"
#include "train/lr_schedule.h"

namespace sparsify {

/// Whether a run like this one is over before the warm-up of its schedule is: of the schedule itself nothing happens.
bool is_all_warmup(const Setting& lr_schedule, const TrainPoint& run);

}  // namespace sparsify
