// Random resized crop: a window of random area and aspect, resized to the image's own size.
// Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842, section 6, with torchvision's ranges: 8 % to all of the area, aspect 3/4 to 4/3.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/image.h"

namespace sparsify {
namespace {

double uniform(Rng& rng) { return static_cast<double>(rng.next() >> 11) * 0x1.0p-53; }

class RandomResizedCrop final : public Augmentation {
 public:
  explicit RandomResizedCrop(const Options& options)
      : scale_(pair_of(options, "scale", {0.08, 1}, {.min = 0, .max = 1, .above_min = true}, "least and greatest part of the area")),
        aspect_(pair_of(options, "aspect", {0.75, 4.0 / 3}, {.min = 0, .max = 100, .above_min = true}, "least and greatest width : height")) {}

  bool wants_bytes() const override { return true; }

  void apply(Image& image, Rng& rng) const override {
    const auto area = static_cast<double>(image.height * image.width);
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double part = area * (scale_[0] + (scale_[1] - scale_[0]) * uniform(rng));
      const double aspect = std::exp(std::log(aspect_[0]) + (std::log(aspect_[1]) - std::log(aspect_[0])) * uniform(rng));
      const int64_t width = std::llround(std::sqrt(part * aspect));
      const int64_t height = std::llround(std::sqrt(part / aspect));
      if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
      const auto top = static_cast<int64_t>(rng.below(static_cast<uint64_t>(image.height - height + 1)));
      const auto left = static_cast<int64_t>(rng.below(static_cast<uint64_t>(image.width - width + 1)));
      image = resize(crop(image, top, left, height, width), image.height, image.width);
      return;
    }
  }

 private:
  static std::vector<double> pair_of(const Options& options, const char* key, std::vector<double> otherwise, NumberRange range, const char* help) {
    std::vector<double> read = options.numbers(key, std::move(otherwise), range, help);
    if (read.size() == 1) read.push_back(read.front());
    if (read.size() != 2 || read[0] > read[1]) {
      throw ConfigError{{.what = std::string(key) + " is not a range", .where = options.where(key), .fix = "give the least and the greatest value, as in [0.5, 1]"}};
    }
    return read;
  }

  std::vector<double> scale_;
  std::vector<double> aspect_;
};

const Register<Augmentation, RandomResizedCrop> entry{"random_resized_crop", "a window of random size, resized to the whole"};

}  // namespace
}  // namespace sparsify
