// N:M: of every M consecutive weights along the input axis, N are kept. 2:4 is what NVIDIA's sparse tensor cores run.
// Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks", arXiv:2104.08378.
#include "tensor/n_of_m.h"
#include "tensor/transposable.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "config/options.h"
#include "patterns/pattern.h"

namespace sparsify {
namespace {

class NOfM final : public Pattern {
 public:
  explicit NOfM(const Options& options)
      : m_(static_cast<int>(options.integer("m", 4, {.min = 2, .max = kMaxGroupSize}, "weights in a group"))),
        n_(static_cast<int>(options.integer("n", 2, {.min = 1, .max = kMaxGroupSize - 1}, "weights kept in a group"))),
        transposable_(options.flag("transposable", false, "N of every M along the outputs as well; M of at most 4")) {
    if (n_ >= m_) {
      throw ConfigError{{.what = fmt::format("{}:{} keeps {} of {}, so it prunes nothing", n_, m_, n_, m_),
                         .where = options.where("n"),
                         .fix = "write N:M with N < M, such as 2:4"}};
    }
    if (transposable_ && m_ > kMaxTransposable) {
      throw ConfigError{{.what = fmt::format("transposable {}:{}: the best tile is found by looking at all, for M of at most {}", n_, m_, kMaxTransposable),
                         .where = options.where("m"),
                         .fix = "use m: 4 or less, or leave transposable out"}};
    }
  }

  std::string describe() const override { return fmt::format("{}:{}{}", n_, m_, transposable_ ? " transposable" : ""); }

  std::string refuses(const PrunableTensor& layer) const override {
    if (layer.input_axis < 0) return "no input axis: groups run along the inputs of a layer";
    const int64_t inputs = layer.shape[static_cast<size_t>(layer.input_axis)];
    if (inputs == 1) return "1 input channel a group";
    if (inputs <= n_) return fmt::format("{} input channels: {} would prune nothing", inputs, describe());
    // The stored weight of a grouped ConvTranspose has the inputs of all groups along one axis, that of a Conv the outputs.
    const bool transposed = layer.op == "ConvTranspose";
    const int64_t groups = std::max<int64_t>(layer.groups, 1);
    if (transposed && inputs / groups % m_ != 0 && groups > 1) {
      return fmt::format("{} input channels in each of {} groups: groups of {} would cross them", inputs / groups, groups, m_);
    }
    if (!transposable_) return "";
    if (layer.output_axis < 0) return "no output axis: tiles run along inputs and outputs";
    const int64_t outputs = layer.shape[static_cast<size_t>(layer.output_axis)] / (transposed ? 1 : groups);
    if (inputs % m_ != 0 || outputs % m_ != 0) return fmt::format("{} outputs and {} inputs{}: not both multiples of {}", outputs, inputs, layer.groups > 1 ? " a group" : "", m_);
    return "";
  }

  std::optional<double> fixed_sparsity(const PrunableTensor& layer) const override {
    const int64_t count = layer.count();
    return static_cast<double>(count - kept(layer)) / static_cast<double>(count);
  }

  int64_t units(const PrunableTensor& layer) const override { return layer.count(); }

  BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t) const override {
    if (transposable_) return select_transposable(scores, layer.shape, layer.output_axis, layer.input_axis, n_, m_);
    return select_n_of_m(scores, layer.shape, layer.input_axis, n_, m_);
  }

  std::string violation(const PrunableTensor& layer, const BitMask& mask) const override {
    int64_t first = first_n_of_m_violation(mask, layer.shape, layer.input_axis, n_, m_);
    if (first < 0 && transposable_) first = first_n_of_m_violation(mask, layer.shape, layer.output_axis, n_, m_);
    if (first < 0) return "";
    return fmt::format("the group of {} that begins at element {} of \"{}\" keeps more than {}", m_, first,
                       layer.initializer, n_);
  }

 private:
  int64_t kept(const PrunableTensor& layer) const { return n_of_m_kept(layer.shape, layer.input_axis, n_, m_); }

  int m_;  // read first: of 70000:80000 it is M that is too large
  int n_;
  bool transposable_;
};

const Register<Pattern, NOfM> entry{"n_of_m", "N of every M weights along the input axis; written \"2:4\""};

}  // namespace
}  // namespace sparsify
