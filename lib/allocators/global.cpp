// Global: one threshold for all layers. Good where scores of different layers mean the same; it can empty a layer,
// which the floors prevent.
#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Global final : public Allocator {
 public:
  explicit Global(const Options&) {}

  Budget allocate(const AllocationTask& task) const override { return keep_highest(task, task.scores); }
};

const Register<Allocator, Global> entry{"global", "the highest scores of all layers together"};

}  // namespace
}  // namespace sparsify
