#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "base/rng.h"
#include "train/settings.h"

namespace sparsify {

/// Two samples in one: sample i becomes `share` of itself and the rest of sample partner[i]; so does its loss.
struct Mixed {
  at::Tensor input{};
  at::Tensor partner{};  ///< int64 [n]; undefined when nothing was mixed
  double share = 1;
};

/// mixup (Zhang et al. 2017, arXiv:1710.09412): a weighted sum. cutmix (Yun et al. 2019, arXiv:1905.04899): a rectangle of the
/// partner, of images only. Where both are asked for, each batch draws one.
///
///   input  float [n, ...]
Mixed mix(const TrainSettings& settings, const at::Tensor& input, Rng rng);

}  // namespace sparsify
