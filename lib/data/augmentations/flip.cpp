// Mirrors the image left to right.
#include "data/image.h"

namespace sparsify {
namespace {

class Flip final : public Augmentation {
 public:
  explicit Flip(const Options& options)
      : probability_(
            options.number("value", 0.5, {.min = 0, .max = 1}, "probability of mirroring")) {}

  void apply(Image& image, Rng& rng) const override {
    const double draw = static_cast<double>(rng.next() >> 11) * 0x1.0p-53;
    if (draw < probability_) flip_horizontally(image);
  }

 private:
  double probability_;
};

const Register<Augmentation, Flip> entry{"flip", "mirror left to right"};

}  // namespace
}  // namespace sparsify
