#pragma once

#include "parallel/process_group.h"
#include "pipeline/prune.h"

namespace sparsify {

/// What a process does that was started beside a first one: it trains when that one trains, on its share of every batch, and
/// writes nothing. Returns when the first one needs it no more.
void assist(const PruneRequest& request, ProcessGroup& processes);

}  // namespace sparsify
