#include "schedules/sound_schedule.h"

#include <fmt/core.h>

#include <cmath>

namespace sparsify {

void require_sound(const Schedule& schedule, const PluginName& name, double target) {
  constexpr int kSteps = 100;
  constexpr double kRounding = 1e-9;
  double before = 0;
  for (int step = 0; step <= kSteps; ++step) {
    const double progress = static_cast<double>(step) / kSteps;
    const double sparsity = call_plugin(name, [&] { return schedule.sparsity_at(progress, target); });
    if (!(sparsity >= 0 && sparsity <= 1)) {
      refuse_result(name, fmt::format("gives the sparsity {} at progress {}, which is not in [0, 1]", sparsity, progress));
    }
    if (sparsity < before - kRounding) {
      refuse_result(name, fmt::format("lets the sparsity fall from {} to {} at progress {}", before, sparsity, progress));
    }
    before = sparsity;
  }
  if (std::fabs(before - target) > kRounding) refuse_result(name, fmt::format("ends at the sparsity {} where the target is {}", before, target));
}

}  // namespace sparsify
