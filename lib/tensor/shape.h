#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sparsify {

using Shape = std::vector<int64_t>;

/// Product of the dimensions; 1 for a scalar; the largest int64 where the product would overflow.
int64_t element_count(const Shape& shape);

/// `[16, 3, 3, 3]`
std::string to_text(const Shape& shape);

}  // namespace sparsify
