#pragma once

#include "pipeline/prune.h"
#include "sparsify/command.h"

namespace sparsify {

/// Prints the report of a run (table or JSON). Returns the exit code.
/// throws GateError naming the gates and verifications that failed
int show_outcome(const PruneOutcome& outcome, const Context& context);

}  // namespace sparsify
