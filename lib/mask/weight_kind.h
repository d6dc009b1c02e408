#pragma once

#include "mask/prunable.h"

namespace sparsify {

/// A weight of a layer, stored as floating-point numbers or as integers. An integer weight that is not behind DequantizeLinear has no
/// PrunableTensor::scale_id, but the zero point of its operator, which differs along scale_axis.
inline bool is_weight(const PrunableTensor& tensor) { return tensor.kind == "weight" || tensor.kind == "integer weight"; }

}  // namespace sparsify
