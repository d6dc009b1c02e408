// Linear: sparsity rises by the same amount in every step.
#include <algorithm>

#include "schedules/schedule.h"
#include "schedules/window.h"

namespace sparsify {
namespace {

class Linear final : public Schedule {
 public:
  explicit Linear(const Options& options)
      : window_(options),
        initial_(options.number("initial", 0.0, {.min = 0, .max = 1, .below_max = true}, "sparsity at the beginning")) {}

  double sparsity_at(double progress, double target) const override {
    if (window_.before(progress)) return 0;
    const double start = std::min(initial_, target);
    const double position = window_.position(progress);
    return start * (1 - position) + target * position;
  }

  bool is_gradual() const override { return true; }
  int64_t every() const override { return window_.every(); }

 private:
  Window window_;
  double initial_;
};

const Register<Schedule, Linear> entry{"linear", "sparsity rises evenly"};

}  // namespace
}  // namespace sparsify
