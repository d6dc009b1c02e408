#pragma once

#include <map>
#include <string>
#include <vector>

#include "mask/mask_set.h"
#include "report/run_report.h"

namespace sparsify {

/// Output channels downwards, everything else (in row-major order) across. A cell is the density of
/// ceil(channels / 96) x ceil(fan_in / 160) weights; cells at the lower and right edge may stand for fewer.
///
///   output_axis  -1: the tensor has no output axis and is drawn as one row
MaskPicture draw_mask(const std::string& initializer, const Mask& mask, int output_axis);

/// The `count` tensors with the most weights, in the order of `masks`.
///   output_axes  by initializer name; absent = -1
std::vector<MaskPicture> draw_largest_masks(const MaskSet& masks, const std::map<std::string, int>& output_axes,
                                            size_t count = 12);

}  // namespace sparsify
