#include "program/bfloat16.h"

namespace sparsify {

bool multiplies_bfloat16(at::Device device) {
#if defined(__x86_64__)
  if (device.is_cpu()) return __builtin_cpu_supports("avx512bf16") != 0;
#endif
  return true;
}

at::Tensor rounded_to_bfloat16(const at::Tensor& x, bool native) {
  const at::Tensor rounded = x.to(at::kBFloat16);
  return native ? rounded : rounded.to(at::kFloat);
}

}  // namespace sparsify
