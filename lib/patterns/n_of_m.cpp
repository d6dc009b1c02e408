// N:M: of every M consecutive weights along the input axis, N are kept. 2:4 is what NVIDIA's sparse tensor cores run.
// Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks", arXiv:2104.08378.
#include "tensor/n_of_m.h"

#include <fmt/core.h>

#include "base/error.h"
#include "config/options.h"
#include "patterns/pattern.h"

namespace sparsify {
namespace {

class NOfM final : public Pattern {
 public:
  explicit NOfM(const Options& options)
      : n_(static_cast<int>(options.integer("n", 2, {.min = 1, .max = kMaxGroupSize - 1}, "weights kept in a group"))),
        m_(static_cast<int>(options.integer("m", 4, {.min = 2, .max = kMaxGroupSize}, "weights in a group"))) {
    if (n_ >= m_) {
      throw ConfigError{{.what = fmt::format("{}:{} keeps {} of {}, so it prunes nothing", n_, m_, n_, m_),
                         .where = options.where("n"),
                         .fix = "write N:M with N < M, such as 2:4"}};
    }
  }

  std::string describe() const override { return fmt::format("{}:{}", n_, m_); }

  std::string refuses(const PrunableTensor& layer) const override {
    if (layer.input_axis < 0) return "no input axis: groups run along the inputs of a layer";
    const int64_t inputs = layer.shape[static_cast<size_t>(layer.input_axis)];
    if (inputs == 1) return "1 input channel a group";
    if (inputs <= n_) return fmt::format("{} input channels: {} would prune nothing", inputs, describe());
    return "";
  }

  std::optional<double> fixed_sparsity(const PrunableTensor& layer) const override {
    const int64_t count = layer.count();
    return static_cast<double>(count - kept(layer)) / static_cast<double>(count);
  }

  int64_t units(const PrunableTensor& layer) const override { return layer.count(); }

  BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t) const override {
    return select_n_of_m(scores, layer.shape, layer.input_axis, n_, m_);
  }

  std::string violation(const PrunableTensor& layer, const BitMask& mask) const override {
    const int64_t first = first_n_of_m_violation(mask, layer.shape, layer.input_axis, n_, m_);
    if (first < 0) return "";
    return fmt::format("the group of {} that begins at element {} of \"{}\" keeps more than {}", m_, first,
                       layer.initializer, n_);
  }

 private:
  int64_t kept(const PrunableTensor& layer) const { return n_of_m_kept(layer.shape, layer.input_axis, n_, m_); }

  int n_;
  int m_;
};

const Register<Pattern, NOfM> entry{"n_of_m", "N of every M weights along the input axis; written \"2:4\""};

}  // namespace
}  // namespace sparsify
