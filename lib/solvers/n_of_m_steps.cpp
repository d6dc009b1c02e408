#include "solvers/n_of_m_steps.h"

#include <fmt/core.h>

#include <cstdio>

namespace sparsify {

std::optional<NOfMNumbers> parse_n_of_m(const std::string& description) {
  long long n = 0;
  long long m = 0;
  int used = 0;
  if (std::sscanf(description.c_str(), "%lld:%lld%n", &n, &m, &used) != 2 || used != static_cast<int>(description.size())) return std::nullopt;
  return NOfMNumbers{n, m};
}

std::vector<std::unique_ptr<Pattern>> n_of_m_steps(const NOfMNumbers& target) {
  std::vector<std::unique_ptr<Pattern>> steps;
  for (int64_t n = target.m - 1; n >= target.n; --n) {
    steps.push_back(make_pattern(Setting(fmt::format("{}:{}", n, target.m)), "pattern"));
  }
  return steps;
}

}  // namespace sparsify
