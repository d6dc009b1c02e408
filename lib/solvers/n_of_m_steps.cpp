#include "solvers/n_of_m_steps.h"

#include <fmt/core.h>

namespace sparsify {

std::vector<std::unique_ptr<Pattern>> n_of_m_steps(const NOfMNumbers& target) {
  std::vector<std::unique_ptr<Pattern>> steps;
  for (int64_t left = n_of_m_step_count(target) - 1; left >= 0; --left) {
    steps.push_back(make_pattern(Setting(fmt::format("{}:{}", target.n + left * n_of_m_stride(target), target.m)), "pattern"));
  }
  return steps;
}

}  // namespace sparsify
