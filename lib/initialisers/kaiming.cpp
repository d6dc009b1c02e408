// Variance gain^2 / fan: He, Zhang, Ren & Sun 2015, "Delving Deep into Rectifiers", arXiv:1502.01852, eq. 10 and 14.
#include <cmath>

#include "initialisers/initialiser.h"

namespace sparsify {
namespace {

class Kaiming final : public Initialiser {
 public:
  explicit Kaiming(const Options& options)
      : Initialiser(options),
        by_inputs_(options.choice("mode", "fan_in", {"fan_in", "fan_out"}, "keeps the variance of activations, or of gradients") == "fan_in"),
        gain_(options.number("gain", std::sqrt(2.0), {.min = 0, .above_min = true}, "sqrt(2) for Relu; 1 for linear layers")) {}

  double deviation(const Fan& fan) const override { return gain_ / std::sqrt(static_cast<double>(by_inputs_ ? fan.in : fan.out)); }

 private:
  bool by_inputs_;
  double gain_;
};

const Register<Initialiser, Kaiming> entry{"kaiming", "variance 2 / fan_in, for networks of Relu"};

}  // namespace
}  // namespace sparsify
