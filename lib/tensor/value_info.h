#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace sparsify {

/// A dimension is a number, a symbol (`batch`), or neither.
struct Dimension {
  int64_t size = -1;   ///< -1: not known before run time
  std::string symbol;  ///< "" if none
};

/// What is known of a value before it is computed.
struct ValueInfo {
  enum class Kind { Unknown, Tensor, SparseTensor, Sequence, Optional, Map };

  std::string name;
  Kind kind = Kind::Unknown;
  DType type = DType::Undefined;  ///< of the tensor, or of the elements of a sequence or optional
  std::optional<std::vector<Dimension>> shape = std::nullopt;  ///< nullopt: rank unknown

  /// `float32[N, 3, 32, 32]`
  std::string signature() const;
};

}  // namespace sparsify
