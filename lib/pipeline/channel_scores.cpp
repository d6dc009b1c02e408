#include "pipeline/channel_scores.h"

#include <fmt/core.h>

namespace sparsify {

std::string refuses_scores(const Pattern& pattern, const Criterion& criterion) {
  const std::string name = pattern.describe();
  const bool chooses_within = name == "per_row" || name.find(':') != std::string::npos;
  if (!criterion.is_per_channel() || !chooses_within) return "";
  return fmt::format("the criterion gives all weights of an output channel one score, and the pattern {} chooses among them", name);
}

}  // namespace sparsify
