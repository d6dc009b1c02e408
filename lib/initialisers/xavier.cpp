// Variance 2 gain^2 / (fan_in + fan_out): Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
// proceedings.mlr.press/v9/glorot10a, eq. 12 and 16.
#include <cmath>

#include "initialisers/initialiser.h"

namespace sparsify {
namespace {

class Xavier final : public Initialiser {
 public:
  explicit Xavier(const Options& options)
      : Initialiser(options), gain_(options.number("gain", 1.0, {.min = 0, .above_min = true}, "1 for Tanh and linear layers, sqrt(2) for Relu")) {}

  double deviation(const Fan& fan) const override { return gain_ * std::sqrt(2.0 / static_cast<double>(fan.in + fan.out)); }

 private:
  double gain_;
};

const Register<Initialiser, Xavier> entry{"xavier", "variance 2 / (fan_in + fan_out), for Tanh, Sigmoid and linear layers"};

}  // namespace
}  // namespace sparsify
