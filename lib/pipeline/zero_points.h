#pragma once

#include <map>

#include "mask/prunable.h"
#include "onnx/model_file.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// Integers that stand for the weight 0.
struct ZeroPoints {
  HostTensor values;  ///< one, or one for each index of `axis`; of the weight's type
  int axis = -1;      ///< of the weight as stored; -1: one for all
};

/// Of the stored integer weights whose zero points are stored and not all 0, by tensor id; types of 8 bits and more.
std::map<int, ZeroPoints> find_zero_points(const ModelFile& file);

/// Writes the zero points where the mask prunes.
void write_zero_points_(const BitMask& mask, const ZeroPoints& zero, HostTensor& weight);

}  // namespace sparsify
