// Uniform: every layer has the target sparsity.
#include <fmt/core.h>

#include <algorithm>

#include "allocators/budget_warnings.h"
#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Uniform final : public Allocator, public BudgetWarnings {
 public:
  explicit Uniform(const Options&) {}

  Budget allocate(const AllocationTask& task) const override {
    Budget budget;
    for (size_t i = 0; i < task.units.size(); ++i) {
      budget.push_back(std::clamp(kept_count(task.units[i], task.sparsity), task.floors[i], task.ceiling(i)));
    }
    return budget;
  }

  /// No other layer makes up for one that its floor or ceiling holds.
  std::vector<std::string> warnings(const AllocationTask& task, const Budget& budget) const override {
    int64_t wanted = 0;
    int64_t kept = 0;
    int64_t held = 0;
    for (size_t i = 0; i < budget.size(); ++i) {
      const int64_t own = kept_count(task.units[i], task.sparsity);
      wanted += own;
      kept += budget[i];
      held += budget[i] != own ? 1 : 0;
    }
    if (kept == wanted) return {};
    return {fmt::format("the floors and ceilings of {} {} keep {} instead of {}: {} sparsity than asked for", held, held == 1 ? "layer" : "layers", kept, wanted,
                        kept > wanted ? "less" : "more")};
  }
};

const Register<Allocator, Uniform> entry{"uniform", "the same sparsity in every layer"};

}  // namespace
}  // namespace sparsify
