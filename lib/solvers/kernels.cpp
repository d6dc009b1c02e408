#include "solvers/kernels.h"

namespace sparsify {

const SolverKernels& solver_kernels() {
#if defined(__x86_64__)
  static const SolverKernels& chosen =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kAvx2SolverKernels : kGenericSolverKernels;
  return chosen;
#else
  return kGenericSolverKernels;
#endif
}

}  // namespace sparsify
