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

/// What train.unfold would buy a run that trains; "" where the graph does not look as if BatchNormalization had been folded away
/// (three convolutions with biases, most of them, and no normalisation), or the recipe has decided.
std::string unfold_note(const Recipe& recipe, const ModelFile& file);

}  // namespace sparsify
