#include "data/image.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sparsify {
namespace {

constexpr int kWeightBits = 22;  // Pillow's PRECISION_BITS: 32 - 8 - 2

/// For one output position: the inputs it covers and their weights.
struct Window {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

/// precompute_coeffs and normalize_coeffs_8bpc of Pillow's Resample.c, for the triangle filter.
std::vector<Window> resize_windows(int64_t in_size, int64_t out_size) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double support = std::max(scale, 1.0);
  std::vector<Window> windows(out_size);
  std::vector<double> exact;
  for (int64_t out = 0; out < out_size; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    const int64_t last = std::min(in_size, static_cast<int64_t>(center + support + 0.5));
    exact.clear();
    double total = 0;
    for (int64_t in = first; in < last; ++in) {
      const double distance = std::abs((static_cast<double>(in) - center + 0.5) * (1.0 / support));
      exact.push_back(std::max(0.0, 1.0 - distance));
      total += exact.back();
    }
    windows[out].first = first;
    for (const double weight : exact) {
      windows[out].weights.push_back(
          static_cast<int32_t>(0.5 + weight / total * (1 << kWeightBits)));
    }
  }
  return windows;
}

/// Resamples lines of `in` along one axis; `stride` is the distance of neighbours on that axis.
void resize_line(const uint8_t* in, uint8_t* out, int64_t stride,
                 const std::vector<Window>& windows) {
  for (const Window& window : windows) {
    int64_t sum = int64_t{1} << (kWeightBits - 1);
    const uint8_t* pixel = in + window.first * stride;
    for (const int32_t weight : window.weights) {
      sum += int64_t{weight} * *pixel;
      pixel += stride;
    }
    *out = static_cast<uint8_t>(std::clamp<int64_t>(sum >> kWeightBits, 0, 255));
    out += stride;
  }
}

const uint8_t* bytes_of(const Image& image) {
  return reinterpret_cast<const uint8_t*>(image.pixels.data());
}
uint8_t* bytes_of(Image& image) { return reinterpret_cast<uint8_t*>(image.pixels.data()); }

Image resize_width(const Image& image, int64_t width) {
  Image resized(image.type, image.channels, image.height, width);
  const std::vector<Window> windows = resize_windows(image.width, width);
  for (int64_t row = 0; row < image.channels * image.height; ++row) {
    resize_line(bytes_of(image) + row * image.width, bytes_of(resized) + row * width, 1, windows);
  }
  return resized;
}

/// Row by row, so that the inner loop runs over neighbours in memory.
Image resize_height(const Image& image, int64_t height) {
  Image resized(image.type, image.channels, height, image.width);
  const std::vector<Window> windows = resize_windows(image.height, height);
  std::vector<int64_t> sums(image.width);
  for (int64_t channel = 0; channel < image.channels; ++channel) {
    const uint8_t* plane = bytes_of(image) + channel * image.height * image.width;
    uint8_t* out = bytes_of(resized) + channel * height * image.width;
    for (const Window& window : windows) {
      std::fill(sums.begin(), sums.end(), int64_t{1} << (kWeightBits - 1));
      const uint8_t* row = plane + window.first * image.width;
      for (const int32_t weight : window.weights) {
        for (int64_t x = 0; x < image.width; ++x) sums[x] += int64_t{weight} * row[x];
        row += image.width;
      }
      for (int64_t x = 0; x < image.width; ++x) {
        *out++ = static_cast<uint8_t>(std::clamp<int64_t>(sums[x] >> kWeightBits, 0, 255));
      }
    }
  }
  return resized;
}

}  // namespace

Image::Image(DType type_of_pixels, int64_t channel_count, int64_t rows, int64_t columns)
    : type(type_of_pixels),
      channels(channel_count),
      height(rows),
      width(columns),
      pixels(channel_count * rows * columns * (bits_of(type_of_pixels) / 8)) {}

Image::Image(DType type_of_pixels, int64_t channel_count, int64_t rows, int64_t columns,
             ImageLayout layout, std::span<const std::byte> source)
    : Image(type_of_pixels, channel_count, rows, columns) {
  invariant(source.size() == pixels.size(), "an image has as many bytes as its shape says");
  if (layout == ImageLayout::Chw || channels == 1) {
    std::copy(source.begin(), source.end(), pixels.begin());
    return;
  }
  const int64_t size = pixel_bytes();
  const int64_t area = height * width;
  for (int64_t channel = 0; channel < channels; ++channel) {
    std::byte* out = pixels.data() + channel * area * size;
    const std::byte* in = source.data() + channel * size;
    if (size == 1) {
      for (int64_t i = 0; i < area; ++i) out[i] = in[i * channels];
    } else {
      for (int64_t i = 0; i < area; ++i)
        std::memcpy(out + i * size, in + i * channels * size, size);
    }
  }
}

Image crop(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  Image cropped(image.type, image.channels, height, width);
  const int64_t size = image.pixel_bytes();
  const int64_t first = std::clamp<int64_t>(-left, 0, width);  // columns of the result
  const int64_t last = std::clamp<int64_t>(image.width - left, first, width);
  for (int64_t channel = 0; channel < image.channels; ++channel) {
    for (int64_t y = 0; y < height; ++y) {
      const int64_t row = top + y;
      if (row < 0 || row >= image.height || first == last) continue;
      const std::byte* in = image.pixels.data() +
                            ((channel * image.height + row) * image.width + left + first) * size;
      std::memcpy(cropped.pixels.data() + ((channel * height + y) * width + first) * size, in,
                  (last - first) * size);
    }
  }
  return cropped;
}

void flip_horizontally(Image& image) {
  const int64_t size = image.pixel_bytes();
  for (int64_t row = 0; row < image.channels * image.height; ++row) {
    std::byte* line = image.pixels.data() + row * image.width * size;
    if (size == 1) {
      std::reverse(line, line + image.width);
      continue;
    }
    for (int64_t x = 0; x < image.width / 2; ++x) {
      std::swap_ranges(line + x * size, line + (x + 1) * size, line + (image.width - 1 - x) * size);
    }
  }
}

Image resize(const Image& image, int64_t height, int64_t width) {
  invariant(image.type == DType::UInt8, "only 8-bit images are resized");
  Image resized = image.width == width ? image : resize_width(image, width);
  return resized.height == height ? resized : resize_height(resized, height);
}

Image with_channels(const Image& image, int64_t channels) {
  if (image.channels == channels) return image;
  Image converted(image.type, channels, image.height, image.width);
  const int64_t area = image.height * image.width;
  if (image.channels == 1) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      std::copy(image.pixels.begin(), image.pixels.end(),
                converted.pixels.begin() + channel * area * image.pixel_bytes());
    }
    return converted;
  }
  invariant(image.type == DType::UInt8 && image.channels == 3 && channels == 1,
            "colours change from 1 channel, or from 3 8-bit channels to 1");
  const uint8_t* red = bytes_of(image);
  for (int64_t i = 0; i < area; ++i) {
    bytes_of(converted)[i] = static_cast<uint8_t>(
        (red[i] * 19595 + red[area + i] * 38470 + red[2 * area + i] * 7471 + 0x8000) >> 16);
  }
  return converted;
}

}  // namespace sparsify
