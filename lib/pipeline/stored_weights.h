#pragma once

#include <string>

#include "mask/prunable.h"

namespace sparsify {

/// The weights in a form that criteria read: stored floats as they lie, integers dequantised.
HostTensor weights_of(const ModelFile& file, const PrunableTensor& tensor);

/// Why a quantised tensor cannot be pruned in place, or "": integer zero must mean real zero.
std::string quantisation_refusal(const ModelFile& file, const PrunableTensor& tensor);

/// The stored elements with +0.0 (integer zero) where the mask prunes: a copy.
HostTensor masked_copy(const ModelFile& file, int tensor_id, const BitMask& mask);

}  // namespace sparsify
