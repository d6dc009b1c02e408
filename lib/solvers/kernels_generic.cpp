#define SPARSIFY_KERNELS kGenericSolverKernels
#define SPARSIFY_KERNELS_NAME "generic"
#include "solvers/kernels.inc"
