// The loops for any processor: the compiler maps the 32-byte vectors to what the baseline has.
#define SPARSIFY_KERNELS kGenericKernels
#define SPARSIFY_KERNELS_NAME "generic"
#include "tensor/kernels.inc"
