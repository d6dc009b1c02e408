#pragma once

#include <string>

#include "criteria/criterion.h"
#include "patterns/pattern.h"

namespace sparsify {

/// Why the pattern cannot go by the criterion's scores, or "": N:M and per_row choose among the weights of an output channel, to all of which
/// a criterion of channels gives one score.
std::string refuses_scores(const Pattern& pattern, const Criterion& criterion);

}  // namespace sparsify
