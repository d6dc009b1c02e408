// Exponential: every step keeps the same fraction of what is left.
// Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow", arXiv:2006.05467:
// density = rho^p for a final density rho.
#include <cmath>

#include "schedules/schedule.h"
#include "schedules/window.h"

namespace sparsify {
namespace {

class Exponential final : public Schedule {
 public:
  explicit Exponential(const Options& options) : window_(options) {}

  double sparsity_at(double progress, double target) const override {
    const double position = window_.position(progress);
    return position >= 1 ? target : 1 - std::pow(1 - target, position);
  }

  bool is_gradual() const override { return true; }
  int64_t every() const override { return window_.every(); }

 private:
  Window window_;
};

const Register<Schedule, Exponential> entry{"exponential", "every step keeps the same fraction of what is left"};

}  // namespace
}  // namespace sparsify
