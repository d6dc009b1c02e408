// One shot: everything is pruned at once, before any training.
#include "config/options.h"
#include "schedules/schedule.h"

namespace sparsify {
namespace {

class OneShot final : public Schedule {
 public:
  explicit OneShot(const Options&) {}

  double sparsity_at(double, double target) const override { return target; }
};

const Register<Schedule, OneShot> entry{"one_shot", "the whole target at once"};

}  // namespace
}  // namespace sparsify
