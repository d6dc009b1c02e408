#include "tensor/shape.h"

#include <fmt/format.h>

#include <limits>

namespace sparsify {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool overflow = false;
  for (const int64_t size : shape) {
    if (size == 0) return 0;
    overflow = overflow || __builtin_mul_overflow(count, size, &count);
  }
  // Saturated, so that an absurd shape is refused for lack of memory and never wraps to a small number.
  return overflow ? std::numeric_limits<int64_t>::max() : count;
}

std::string to_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace sparsify
