#include "pipeline/block_choice.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "pipeline/cut_choice.h"
#include "pipeline/cut_limits.h"

namespace sparsify {
namespace {

std::vector<Block> joined(std::vector<Block> blocks, const std::vector<Block>& more) {
  blocks.insert(blocks.end(), more.begin(), more.end());
  return blocks;
}

[[noreturn]] void refuse_budget(const CutRule& rule, const std::string& what) {
  refuse_setting(rule.rule->sparsity.mark(), rule.path + ".sparsity", what, "allow more, or remove channels as well");
}

/// Blocks are removed in their order where the graph holds too much, until it does so nowhere.
std::vector<Block> blocks_below_peak(const CutRule& rule, std::vector<Block> left, const std::vector<Block>& gone, const CutCosts& costs,
                                     const Removed& removed, int64_t limit) {
  std::vector<Block> taken;
  while (true) {
    const MemoryPeaks peaks = costs.peaks_above(limit, removed, gone_with(joined(gone, taken)));
    if (peaks.nodes == 0) return taken;
    const auto helps = [&](const Block& block) {
      std::vector<Block> more = joined(gone, taken);
      more.push_back(block);
      return costs.peaks_above(limit, removed, gone_with(more)).nodes < peaks.nodes;
    };
    const auto next = std::find_if(left.begin(), left.end(), helps);
    if (next == left.end()) {
      refuse_budget(rule, fmt::format("the budget of {} bytes of activations cannot be met: without the {} blocks that lower the peak {} are left", limit, taken.size(),
                                      costs.cost("memory", removed, gone_with(joined(gone, taken)))));
    }
    taken.push_back(std::move(*next));
    left.erase(next);
  }
}

}  // namespace

CutCosts::Gone gone_with(const std::vector<Block>& blocks) {
  CutCosts::Gone all;
  for (const Block& block : blocks) {
    all.nodes.insert(block.labels.begin(), block.labels.end());
    all.tensors.insert(block.tensors.begin(), block.tensors.end());
    all.renamed[block.output] = block.shortcut;
  }
  return all;
}

std::vector<Block> choose_blocks(const CutRule& rule, const std::vector<Block>& order, const std::vector<Block>& gone, const CutCosts& costs,
                                 const Removed& nothing, const Removed& removed) {
  const auto first = [&](size_t count) { return std::vector<Block>(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count)); };
  if (!rule.budget) return first(static_cast<size_t>(std::llround(rule.sparsity * static_cast<double>(order.size()))));
  const std::string& kind = rule.budget->kind;
  const int64_t before = costs.cost(kind, nothing);
  const auto limit = static_cast<int64_t>(std::floor(rule.budget->fraction * static_cast<double>(before) + 1e-9));
  if (kind == "memory") return blocks_below_peak(rule, order, gone, costs, removed, limit);
  const auto cost = [&](size_t count) { return costs.cost(kind, removed, gone_with(joined(gone, first(count)))); };
  size_t count = 0;
  while (count < order.size() && cost(count) > limit) ++count;
  if (cost(count) > limit) {
    refuse_budget(rule, fmt::format("the budget of {} {} cannot be met: without all {} blocks {} are left", limit, unit_of_budget(kind), order.size(), cost(count)));
  }
  return first(count);
}

}  // namespace sparsify
