#pragma once

#include <vector>

#include "pipeline/cut_costs.h"
#include "pipeline/cut_rule.h"
#include "structure/blocks.h"

namespace sparsify {

/// What the graph loses with these blocks, for CutCosts.
CutCosts::Gone gone_with(const std::vector<Block>& blocks);

/// The blocks that a rule of the pattern `layer` removes: the first of `order` until their share of them is gone, or its budget holds; of a budget only those
/// that lower what it counts. A block takes those inside it along.
///   order  least important first
///   gone   what earlier rules have removed; a block that shares nodes with it stays
///   throws ConfigError for a budget that no choice meets
std::vector<Block> choose_blocks(const CutRule& rule, const std::vector<Block>& order, const std::vector<Block>& gone, const CutCosts& costs,
                                 const Removed& nothing, const Removed& removed);

}  // namespace sparsify
