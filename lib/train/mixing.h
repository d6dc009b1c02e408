#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "base/rng.h"
#include "tensor/value_info.h"
#include "train/settings.h"

namespace sparsify {

/// Of images, in pixels.
struct Rectangle {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
};

/// Two samples in one: sample i becomes `share` of itself and the rest of sample partner[i]; so does its loss.
struct Mixed {
  at::Tensor input{};
  at::Tensor partner{};  ///< int64 [n]; undefined when nothing was mixed
  double share = 1;
  std::optional<Rectangle> pasted{};  ///< of cutmix; else the samples were added
};

/// mixup (Zhang et al. 2017, arXiv:1710.09412): a weighted sum. cutmix (Yun et al. 2019, arXiv:1905.04899): a rectangle of the
/// partner, of images only. Where both are asked for, each batch draws one.
///
///   input  float [n, ...]
Mixed mix(const TrainSettings& settings, const at::Tensor& input, Rng rng);

/// Another input of the same samples, mixed with the same partners and share, or the same rectangle.
/// throws ConfigError for a rectangle and an input that is no image of the first one's size
at::Tensor mixed_alike(const Mixed& mixed, const at::Tensor& first, const at::Tensor& input);

/// Before any training: mixup wants an input of floats, and cutmix images of one size in all of them.
/// throws ConfigError naming the input that does not fit
void require_mixable(const TrainSettings& settings, const std::vector<ValueInfo>& inputs);

}  // namespace sparsify
