#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "patterns/pattern.h"
#include "tensor/block_size.h"

namespace sparsify {

struct NOfMNumbers {
  int64_t n = 0;
  int64_t m = 0;
};

/// `2:4`, as Pattern::describe() says it; nullopt for other patterns.
inline std::optional<NOfMNumbers> parse_n_of_m(const std::string& description) {
  const auto numbers = two_numbers(description, "%lld:%lld%n");
  return numbers ? std::optional(NOfMNumbers{numbers->first, numbers->second}) : std::nullopt;
}

/// Weights of a group that go in one step: one, of long groups as many as make at most 63 steps.
inline int64_t n_of_m_stride(const NOfMNumbers& target) { return (target.m - target.n + 62) / 63; }
/// n_of_m_steps().size()
inline int64_t n_of_m_step_count(const NOfMNumbers& target) { return (target.m - target.n - 1) / n_of_m_stride(target) + 1; }

/// The patterns on the way from dense: 2:4 -> 3:4, 2:4.
std::vector<std::unique_ptr<Pattern>> n_of_m_steps(const NOfMNumbers& target);

}  // namespace sparsify
