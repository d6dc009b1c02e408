#include "allocators/checked_allocator.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "allocators/sharing.h"

namespace sparsify {

Budget CheckedAllocator::allocate(const AllocationTask& task) const {
  Budget budget = call_plugin(name_, [&] { return inner_.allocate(task); });
  if (budget.size() != task.units.size()) {
    refuse_result(name_, fmt::format("gives budgets for {} of {} layers", budget.size(), task.units.size()));
  }
  int64_t kept = 0;
  int64_t layer_by_layer = 0;
  for (size_t i = 0; i < budget.size(); ++i) {
    if (budget[i] < task.floors[i] || budget[i] > task.ceiling(i)) {
      refuse_result(name_, fmt::format("keeps {} units of layer \"{}\", where {} to {} may be kept", budget[i], task.layers[i].layer, task.floors[i], task.ceiling(i)));
    }
    kept += budget[i];
    layer_by_layer += std::clamp(kept_count(task.units[i], task.sparsity), task.floors[i], task.ceiling(i));
  }
  if (task.fit) return budget;
  const int64_t wanted = target_kept(task);
  const auto rounding = static_cast<int64_t>(budget.size());
  const bool near_target = kept >= std::min(wanted, layer_by_layer) - rounding && kept <= std::max(wanted, layer_by_layer) + rounding;
  if (!near_target) refuse_result(name_, fmt::format("keeps {} units in all where the target keeps {}", kept, wanted));
  return budget;
}

}  // namespace sparsify
