// Erdos-Renyi-Kernel: small layers stay denser.
// Evci et al. 2020, "Rigging the Lottery", arXiv:1911.11134: density = scale * sum(dimensions) / product(dimensions), layers
// that would exceed 1 stay dense and the scale is solved again for the rest.
#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Erk final : public Allocator {
 public:
  explicit Erk(const Options&) {}

  Budget allocate(const AllocationTask& task) const override {
    std::vector<double> weights;
    for (const PrunableTensor& layer : task.layers) {
      double sum = 0;
      double product = 1;
      for (const int64_t dimension : layer.shape) {
        sum += static_cast<double>(dimension);
        product *= static_cast<double>(dimension);
      }
      weights.push_back(sum / product);
    }
    return keep_in_proportion(task, weights);
  }
};

const Register<Allocator, Erk> entry{"erk", "Erdos-Renyi-Kernel: denser where a layer is small; needs no scores"};

}  // namespace
}  // namespace sparsify
