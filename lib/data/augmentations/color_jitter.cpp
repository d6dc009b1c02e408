// Colour jitter: brightness, contrast and saturation, each times a random factor in [1 - x, 1 + x], in this order.
// Brightness mixes with black, contrast with the mean luma, saturation with each pixel's luma (ITU-R 601), as Pillow's ImageEnhance.
#include <algorithm>
#include <array>
#include <cmath>

#include "data/image.h"

namespace sparsify {
namespace {

constexpr std::array<float, 3> kLuma = {0.299f, 0.587f, 0.114f};

class ColorJitter final : public Augmentation {
 public:
  explicit ColorJitter(const Options& options)
      : brightness_(options.number("brightness", 0.4, kRange, "largest change of the factor")),
        contrast_(options.number("contrast", 0.4, kRange, "largest change of the factor")),
        saturation_(options.number("saturation", 0.4, kRange, "largest change of the factor; of colour images")) {}

  bool wants_bytes() const override { return true; }

  void apply(Image& image, Rng& rng) const override {
    const float brightness = factor(brightness_, rng);
    const float contrast = factor(contrast_, rng);
    const float saturation = factor(saturation_, rng);
    const auto count = static_cast<size_t>(image.height * image.width);
    auto* bytes = reinterpret_cast<uint8_t*>(image.pixels.data());
    const size_t all = count * static_cast<size_t>(image.channels);
    for (size_t i = 0; i < all; ++i) bytes[i] = mixed(0, bytes[i], brightness);
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += luma(bytes, i, count, image.channels);
    const auto mean = static_cast<float>(std::round(sum / static_cast<double>(count)));
    for (size_t i = 0; i < all; ++i) bytes[i] = mixed(mean, bytes[i], contrast);
    if (image.channels != 3) return;
    for (size_t i = 0; i < count; ++i) {
      const float grey = luma(bytes, i, count, 3);
      for (size_t c = 0; c < 3; ++c) bytes[c * count + i] = mixed(grey, bytes[c * count + i], saturation);
    }
  }

 private:
  static constexpr NumberRange kRange = {.min = 0, .max = 1};

  static float factor(double change, Rng& rng) {
    return static_cast<float>(1 + change * (2 * static_cast<double>(rng.next() >> 11) * 0x1.0p-53 - 1));
  }
  static uint8_t mixed(float from, uint8_t value, float factor) {
    return static_cast<uint8_t>(std::clamp(std::lround(from + (static_cast<float>(value) - from) * factor), 0L, 255L));
  }
  static float luma(const uint8_t* bytes, size_t pixel, size_t count, int64_t channels) {
    if (channels != 3) return static_cast<float>(bytes[pixel]);
    float sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += kLuma[c] * static_cast<float>(bytes[c * count + pixel]);
    return sum;
  }

  double brightness_;
  double contrast_;
  double saturation_;
};

const Register<Augmentation, ColorJitter> entry{"color_jitter", "random brightness, contrast and saturation"};

}  // namespace
}  // namespace sparsify
