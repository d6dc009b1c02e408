#pragma once

#include <cstdint>

#include "tensor/host_tensor.h"

namespace sparsify {

/// The half of a data format (data/dataset.h) that has its labels at hand: they can be looked at without decoding a record.
class LabelSource {
 public:
  virtual ~LabelSource() = default;
  /// What read(index) gives as label; asked only where has_labels().
  virtual HostTensor label(int64_t index) const = 0;
};

}  // namespace sparsify
