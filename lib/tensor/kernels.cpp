#include "tensor/kernels.h"

namespace sparsify {

const Kernels& kernels() {
#if defined(__x86_64__)
  static const Kernels& chosen = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                                         __builtin_cpu_supports("popcnt")
                                     ? kAvx2Kernels
                                     : kGenericKernels;
  return chosen;
#else
  return kGenericKernels;
#endif
}

}  // namespace sparsify
