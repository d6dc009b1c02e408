#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor/bit_mask.h"
#include "tensor/shape.h"

namespace sparsify {

/// The mask of one tensor; **set = kept**.
struct Mask {
  Shape shape;
  BitMask bits;
};

/// Masks by initializer name, in node order.
using MaskSet = std::vector<std::pair<std::string, Mask>>;

/// safetensors with one BOOL tensor (1 = kept) per initializer and `{"format": "sparsify", "keep": "1"}` as metadata.
/// Returns the SHA-256 of the file.
std::string write_masks(const std::string& path, const MaskSet& masks, bool overwrite);
/// throws ResourceError for a file that is not such
MaskSet read_masks(const std::string& path);

}  // namespace sparsify
