#include "mask/scores.h"

#include <cmath>

#include "base/error.h"

namespace sparsify {

int64_t kept_count(int64_t units, double sparsity) {
  invariant(sparsity >= 0 && sparsity <= 1, "a sparsity lies in [0, 1]");
  return units - std::llround(sparsity * static_cast<double>(units));
}

}  // namespace sparsify
