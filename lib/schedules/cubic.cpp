// Cubic: fast while weights are plenty, slow near the target.
// Zhu & Gupta 2017, "To prune, or not to prune", arXiv:1710.01878, eq. 1: s = s_f + (s_i - s_f) (1 - p)^3.
#include <algorithm>

#include "schedules/schedule.h"
#include "schedules/window.h"

namespace sparsify {
namespace {

class Cubic final : public Schedule {
 public:
  explicit Cubic(const Options& options)
      : window_(options),
        initial_(options.number("initial", 0.0, {.min = 0, .max = 1, .below_max = true}, "sparsity at the beginning")) {}

  double sparsity_at(double progress, double target) const override {
    if (window_.before(progress)) return 0;
    const double left = 1 - window_.position(progress);
    return target + (std::min(initial_, target) - target) * left * left * left;
  }

  bool is_gradual() const override { return true; }
  int64_t every() const override { return window_.every(); }

 private:
  Window window_;
  double initial_;
};

const Register<Schedule, Cubic> entry{"cubic", "gradual: fast first, slow near the target"};

}  // namespace
}  // namespace sparsify
