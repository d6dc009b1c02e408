#pragma once

#include "config/options.h"

namespace sparsify {

/// The option of `criterion: reconstruction`: Gram matrices of inputs settle sooner than weights that are solved with them.
inline int64_t elimination_samples(const Options& options) {
  return options.integer("samples", 512, {.min = 1}, "of the calibration data, from its start");
}

}  // namespace sparsify
