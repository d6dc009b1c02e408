#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "structure/analysis.h"

namespace sparsify {

/// One component of the indices of a ScatterND (the last axis of `indices`) that changes along one axis only: an assignment to a slice
/// is exported as the grid of all positions, each axis of the slice with its own list of numbers.
struct IndexComponent {
  size_t axis = 0;                     ///< of the indices
  std::vector<int64_t> positions{};    ///< [length of that axis]
  std::vector<ExpressionPtr> numbers{};  ///< what stands in the file
  std::vector<size_t> places{};        ///< of each of the numbers: its index into `positions`
};

/// Component `which` of input `input` of the current node, if the graph stores it: as one tensor, or as Concat of an
/// unsqueezed, expanded list for each component.
std::optional<IndexComponent> index_component(Analysis& analysis, size_t input, size_t which);

}  // namespace sparsify
