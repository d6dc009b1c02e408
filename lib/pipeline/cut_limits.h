#pragma once

#include <string>

#include "pipeline/cut_choice.h"

namespace sparsify {

/// Words for what a budget counts: `bytes of activations`.
std::string unit_of_budget(const std::string& budget);

/// Why CutChoice::choose() removes nothing beyond `removed`.
std::string why_nothing(const Structure& structure, const CutChoice::Task& task, const Removed& removed);

}  // namespace sparsify
