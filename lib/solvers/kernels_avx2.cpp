// The same loops, compiled with -mavx2 -mfma (lib/CMakeLists.txt); called only where the processor has them.
#if defined(__x86_64__)
#define SPARSIFY_KERNELS kAvx2SolverKernels
#define SPARSIFY_KERNELS_NAME "avx2"
#define SPARSIFY_KERNELS_WIDE true
#include "solvers/kernels.inc"
#endif
