#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/registry.h"
#include "base/rng.h"
#include "data/dataset.h"

namespace sparsify {

/// Raw pixels, planar (CHW), before normalisation.
struct Image {
  DType type = DType::UInt8;
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  std::vector<std::byte> pixels;

  Image() = default;
  Image(DType type, int64_t channels, int64_t height, int64_t width);  ///< black
  /// `pixels` in `layout`, tightly packed.
  Image(DType type, int64_t channels, int64_t height, int64_t width, ImageLayout layout,
        std::span<const std::byte> pixels);

  int64_t pixel_bytes() const { return bits_of(type) / 8; }  ///< of one channel
};

/// The window at (top, left), which may reach outside: there it is black.
Image crop(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width);

void flip_horizontally(Image& image);

/// Bilinear with antialiasing: when shrinking, the triangle covers as many pixels as one output
/// pixel does. The same integers as `Image.resize(size, BILINEAR)` of Pillow up to 12: across, then
/// down, 22-bit weights, 8 bits in between. (Pillow 13 goes down first where the height shrinks much
/// more than the width; there a pixel may differ by 1.) Only uint8.
Image resize(const Image& image, int64_t height, int64_t width);

/// 1 -> 3 by repetition, 3 -> 1 by ITU-R 601 luma with Pillow's weights (19595, 38470, 7471) /
/// 65536. Only uint8 for the latter.
Image with_channels(const Image& image, int64_t channels);

/// A random change of a training image that keeps its size: one plugin a file.
class Augmentation {
 public:
  static constexpr const char* kFamily = "augmentation";
  virtual ~Augmentation() = default;
  virtual void apply(Image& image, Rng& rng) const = 0;
  /// Works on 8-bit images only.
  virtual bool wants_bytes() const { return false; }
};

}  // namespace sparsify
