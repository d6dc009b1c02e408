#pragma once

#include <vector>

#include "mask/prunable.h"
#include "structure/structure.h"

namespace sparsify {

/// Layers with one output channel, as groups that `listed` does not hold: nothing of them can be cut, and whoever asks for them is to
/// be told so. Their ids go on where those of `listed` end.
std::vector<Group> single_units(const std::vector<PrunableTensor>& tensors, const std::vector<Group>& listed);

}  // namespace sparsify
