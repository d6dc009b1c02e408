#pragma once

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
std::optional<NOfMNumbers> parse_n_of_m(const std::string& description);

/// The patterns on the way from dense: 2:4 -> 3:4, 2:4.
std::vector<std::unique_ptr<Pattern>> n_of_m_steps(const NOfMNumbers& target);

}  // namespace sparsify
