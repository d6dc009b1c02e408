#pragma once

#include <vector>

#include "support/catch.h"

namespace sparsify {

/// Element by element within 1e-5 of the magnitude, for results that were recorded with six digits.
inline auto close_to(const std::vector<float>& expected) {
  return Catch::Matchers::Approx(expected).margin(1e-5F).epsilon(1e-5);
}

}  // namespace sparsify
