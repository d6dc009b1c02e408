#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "patterns/pattern.h"

namespace sparsify {

struct NOfMNumbers {
  int64_t n = 0;
  int64_t m = 0;
};

/// `2:4`, as Pattern::describe() says it; nullopt for other patterns.
inline std::optional<NOfMNumbers> parse_n_of_m(const std::string& description) {
  long long n = 0;
  long long m = 0;
  int used = 0;
  if (std::sscanf(description.c_str(), "%lld:%lld%n", &n, &m, &used) != 2 || used != static_cast<int>(description.size())) return std::nullopt;
  return NOfMNumbers{n, m};
}

/// Weights of a group that go in one step: one, of long groups as many as make at most 63 steps.
inline int64_t n_of_m_stride(const NOfMNumbers& target) { return (target.m - target.n + 62) / 63; }
/// n_of_m_steps().size()
inline int64_t n_of_m_step_count(const NOfMNumbers& target) { return (target.m - target.n - 1) / n_of_m_stride(target) + 1; }

/// The patterns on the way from dense: 2:4 -> 3:4, 2:4.
std::vector<std::unique_ptr<Pattern>> n_of_m_steps(const NOfMNumbers& target);

}  // namespace sparsify
