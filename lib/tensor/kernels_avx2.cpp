// The same loops, compiled with -mavx2 -mbmi2 -mpopcnt (lib/CMakeLists.txt); called only where the processor has them.
#if defined(__x86_64__)
#define SPARSIFY_KERNELS kAvx2Kernels
#define SPARSIFY_KERNELS_NAME "avx2"
#include "tensor/kernels.inc"
#endif
