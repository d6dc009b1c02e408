#define SPARSIFY_KERNELS kGenericSolverKernels
#define SPARSIFY_KERNELS_NAME "generic"
#define SPARSIFY_KERNELS_WIDE false
#include "solvers/kernels.inc"
