#pragma once

#include <string>
#include <vector>

#include "pipeline/decide.h"

namespace sparsify {

/// Which runtime gains from the patterns that a run used, and which does not: zeros are not speed.
/// Sources: docs/results.md, section "What the zeros buy".
std::vector<std::string> speed_notes(const Decisions& decisions, double sparsity);

/// What unlabelled data would buy this run; "" where it has some, or removes structure.
std::string data_note(const Recipe& recipe, const Decisions& decisions);

}  // namespace sparsify
