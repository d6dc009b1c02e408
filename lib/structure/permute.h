#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "onnx/model_file.h"
#include "structure/structure.h"
#include "tensor/slice.h"

namespace sparsify {

/// Units of one group change places: unit p becomes what unit order[p] was, in every tensor that the group touches.
struct UnitOrder {
  int group = -1;
  std::vector<int64_t> order{};  ///< [units], a permutation
};

/// Units that can change places: not frozen, and as many indices of every tensor and every activation each. Those of a part that
/// a Split or a padding tells from the rest are a class of their own. Classes in order of their first unit, units ascending.
std::vector<std::vector<int64_t>> interchangeable_units(const Structure& structure, const Group& group);

/// The new order of the stored axes, by tensor id: index i of an axis becomes what index kept[i] was. Orders are applied one after
/// another. Constants that hold positions (the indices of a Gather) stay: what they point at moves with its reader.
/// Every graph that the operators' rules describe computes the same; those that tell indices apart where no label does (CumSum)
/// are found by running both.
std::map<int, std::vector<AxisSlice>> permuted_axes(const ModelFile& file, const Structure& structure, const std::vector<UnitOrder>& orders);

}  // namespace sparsify
