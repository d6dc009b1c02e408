// Reconstruction: each layer keeps what makes the sum of the errors least that the solver leaves at the outputs of the
// layers. The errors are those of calibration data, so the stage that corrects weights divides the budget again
// (solvers/reallocate.h); what is decided before, for a dry run as well, is the uniform share.
#include <algorithm>

#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Reconstruction final : public Allocator {
 public:
  explicit Reconstruction(const Options&) {}

  Budget allocate(const AllocationTask& task) const override { return keep_in_proportion(task, std::vector<double>(task.units.size(), 1.0)); }
};

const Register<Allocator, Reconstruction> entry{"reconstruction", "least error of the layers' outputs on calibration data; with a solver"};

}  // namespace
}  // namespace sparsify
