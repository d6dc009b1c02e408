#pragma once

#include <string>
#include <vector>

#include "pipeline/decide.h"

namespace sparsify {

/// Which runtime gains from the patterns that a run used, and which does not: zeros are not speed.
/// Sources: docs/results.md, section "What the zeros buy".
std::vector<std::string> speed_notes(const Decisions& decisions, double sparsity);

}  // namespace sparsify
