#pragma once

#include <set>

#include "program/plan.h"
#include "solvers/linear_site.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// Which values of the main graph differ from the dense network's once some stored tensors do.
class Affected {
 public:
  Affected(const Plan& plan, const std::set<int>& changed_tensors);

  /// False for -1.
  bool contains(int slot) const { return slots_.contains(slot); }

 private:
  std::set<int> slots_;
};

/// Input channels of a convolution of one group of which the mask keeps something; undefined for other layers, and where it is all.
at::Tensor live_inputs(const LinearSite& site, const BitMask& mask);

/// Every output of the layer keeps all its weights, or none.
bool keeps_whole_rows(const LinearSite& site, const BitMask& mask);

}  // namespace sparsify
