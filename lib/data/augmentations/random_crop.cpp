// Random crop: the image is padded with black on all sides and a window of its own size is cut out
// at random (He et al. 2015, arXiv:1512.03385, section 4.2, with 4 pixels). Black is 0 of the *raw*
// pixels, as in the training pipelines whose statistics a batch normalisation holds; zeros after
// normalisation cost ResNet-20 3 points.
#include "data/image.h"

namespace sparsify {
namespace {

class RandomCrop final : public Augmentation {
 public:
  explicit RandomCrop(const Options& options)
      : padding_(
            options.integer("value", 4, {.min = 0, .max = 1 << 16}, "black pixels on each side")) {}

  void apply(Image& image, Rng& rng) const override {
    const auto offsets = static_cast<uint64_t>(2 * padding_ + 1);
    const int64_t top = static_cast<int64_t>(rng.below(offsets)) - padding_;
    const int64_t left = static_cast<int64_t>(rng.below(offsets)) - padding_;
    image = crop(image, top, left, image.height, image.width);
  }

 private:
  int64_t padding_;
};

const Register<Augmentation, RandomCrop> entry{
    "random_crop", "cut a window of the same size out of the padded image"};

}  // namespace
}  // namespace sparsify
