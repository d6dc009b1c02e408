#pragma once

#include <string>
#include <vector>

#include "allocators/allocator.h"

namespace sparsify {

/// An allocator that has something to say of what it chose is one of these too.
class BudgetWarnings {
 public:
  virtual ~BudgetWarnings() = default;
  virtual std::vector<std::string> warnings(const AllocationTask& task, const Budget& budget) const = 0;
};

}  // namespace sparsify
