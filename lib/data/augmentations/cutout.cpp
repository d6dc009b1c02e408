// Cutout: a black square at a random place, cut at the edges.
// DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv:1708.04552 (16 pixels on CIFAR-10).
#include <algorithm>
#include <cstring>

#include "data/image.h"

namespace sparsify {
namespace {

class Cutout final : public Augmentation {
 public:
  explicit Cutout(const Options& options)
      : side_(options.integer("value", 16, {.min = 1, .max = 1 << 16}, "pixels of the square's side")) {}

  void apply(Image& image, Rng& rng) const override {
    const auto window = [&](int64_t size) {
      const int64_t first = static_cast<int64_t>(rng.below(static_cast<uint64_t>(size))) - side_ / 2;
      return std::pair(std::max<int64_t>(0, first), std::min(size, first + side_));
    };
    const auto [top, bottom] = window(image.height);
    const auto [left, right] = window(image.width);
    const int64_t bytes = image.pixel_bytes();
    for (int64_t channel = 0; channel < image.channels; ++channel) {
      for (int64_t row = top; row < bottom; ++row) {
        const int64_t first = ((channel * image.height + row) * image.width + left) * bytes;
        std::memset(image.pixels.data() + first, 0, static_cast<size_t>((right - left) * bytes));
      }
    }
  }

 private:
  int64_t side_;
};

const Register<Augmentation, Cutout> entry{"cutout", "a black square at a random place"};

}  // namespace
}  // namespace sparsify
