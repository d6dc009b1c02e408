#include "pipeline/block_choice.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "pipeline/cut_choice.h"
#include "pipeline/cut_limits.h"

namespace sparsify {
namespace {

std::vector<Block> joined(std::vector<Block> blocks, const std::vector<Block>& more) {
  blocks.insert(blocks.end(), more.begin(), more.end());
  return blocks;
}

bool shares_nodes(const Block& a, const Block& b) {
  return std::any_of(b.nodes.begin(), b.nodes.end(), [&](int node) { return std::binary_search(a.nodes.begin(), a.nodes.end(), node); });
}

bool is_inside(const Block& inner, const Block& outer) {
  return std::includes(outer.nodes.begin(), outer.nodes.end(), inner.nodes.begin(), inner.nodes.end());
}

bool is_gone(const Block& block, const std::vector<Block>& taken) {
  return std::any_of(taken.begin(), taken.end(), [&](const Block& one) { return is_inside(block, one); });
}

/// With the block, in place of those inside it; nothing where it can only go in part.
std::optional<std::vector<Block>> with(const std::vector<Block>& taken, const Block& block) {
  std::vector<Block> more;
  for (const Block& one : taken) {
    if (is_inside(one, block)) continue;
    if (shares_nodes(one, block)) return std::nullopt;
    more.push_back(one);
  }
  more.push_back(block);
  return more;
}

[[noreturn]] void refuse_budget(const CutRule& rule, const std::string& what) {
  refuse_setting(rule.rule->sparsity.mark(), rule.path + ".sparsity", what, "allow more, or remove channels as well");
}

/// Blocks are removed in their order where the graph holds too much, until it does so nowhere.
std::vector<Block> blocks_below_peak(const CutRule& rule, const std::vector<Block>& order, const std::vector<Block>& gone, const CutCosts& costs,
                                     const Removed& removed, int64_t limit) {
  std::vector<Block> taken;
  while (true) {
    const MemoryPeaks peaks = costs.peaks_above(limit, removed, gone_with(joined(gone, taken)));
    if (peaks.nodes == 0) return taken;
    bool helped = false;
    for (const Block& block : order) {
      const auto more = is_gone(block, taken) ? std::nullopt : with(taken, block);
      if (!more || costs.peaks_above(limit, removed, gone_with(joined(gone, *more))).nodes >= peaks.nodes) continue;
      taken = *more;
      helped = true;
      break;
    }
    if (helped) continue;
    refuse_budget(rule, fmt::format("the budget of {} bytes of activations cannot be met: without the {} blocks that lower the peak {} are left", limit, taken.size(),
                                    costs.cost("memory", removed, gone_with(joined(gone, taken)))));
  }
}

std::vector<Block> share_of(const CutRule& rule, const std::vector<Block>& order) {
  const auto wanted = std::llround(rule.sparsity * static_cast<double>(order.size()));
  std::vector<Block> taken;
  for (const Block& block : order) {
    if (std::count_if(order.begin(), order.end(), [&](const Block& one) { return is_gone(one, taken); }) >= wanted) break;
    if (const auto more = is_gone(block, taken) ? std::nullopt : with(taken, block)) taken = *more;
  }
  return taken;
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

std::vector<Block> choose_blocks(const CutRule& rule, const std::vector<Block>& all, const std::vector<Block>& gone, const CutCosts& costs,
                                 const Removed& nothing, const Removed& removed) {
  std::vector<Block> order;
  for (const Block& block : all) {
    if (std::none_of(gone.begin(), gone.end(), [&](const Block& one) { return shares_nodes(one, block); })) order.push_back(block);
  }
  if (!rule.budget) return share_of(rule, order);
  const std::string& kind = rule.budget->kind;
  const auto limit = static_cast<int64_t>(std::floor(rule.budget->fraction * static_cast<double>(costs.cost(kind, nothing)) + 1e-9));
  if (kind == "memory") return blocks_below_peak(rule, order, gone, costs, removed, limit);
  std::vector<Block> taken;
  const auto cost_without = [&](const std::vector<Block>& blocks) { return costs.cost(kind, removed, gone_with(joined(gone, blocks))); };
  int64_t cost = cost_without(taken);
  for (const Block& block : order) {
    if (cost <= limit) break;
    const auto more = is_gone(block, taken) ? std::nullopt : with(taken, block);
    const int64_t less = more ? cost_without(*more) : cost;
    if (less >= cost) continue;
    taken = *more;
    cost = less;
  }
  if (cost > limit) {
    refuse_budget(rule, fmt::format("the budget of {} {} cannot be met: without all {} blocks {} are left", limit, unit_of_budget(kind), taken.size(), cost));
  }
  return taken;
}

}  // namespace sparsify
