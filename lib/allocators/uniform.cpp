// Uniform: every layer has the target sparsity.
#include <algorithm>

#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Uniform final : public Allocator {
 public:
  explicit Uniform(const Options&) {}

  Budget allocate(const AllocationTask& task) const override {
    Budget budget;
    for (size_t i = 0; i < task.units.size(); ++i) {
      budget.push_back(std::clamp(kept_count(task.units[i], task.sparsity), task.floors[i], task.ceiling(i)));
    }
    return budget;
  }
};

const Register<Allocator, Uniform> entry{"uniform", "the same sparsity in every layer"};

}  // namespace
}  // namespace sparsify
