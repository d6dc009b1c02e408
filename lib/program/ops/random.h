#pragma once

#include <ATen/core/Tensor.h>

#include "base/rng.h"

namespace sparsify {

/// Element i is Rng::uniform_at(i): the same on every device and with any number of threads. float32, in [0, 1).
at::Tensor uniform(const Rng& random, at::IntArrayRef shape, at::Device device);

/// Standard normal values, float32 (Box & Muller 1958).
at::Tensor normal(const Rng& random, at::IntArrayRef shape, at::Device device);

}  // namespace sparsify
