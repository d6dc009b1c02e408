#pragma once

#include "pipeline/decide.h"

namespace sparsify {

/// The decisions behind a pruned file: the zeros of every weight and embedding that has some are its mask (the row of a padding
/// token too), and where they obey an N:M rule (1:4, 2:4, 4:8 ...), that is its pattern, which the result is then checked against.
/// Warns when there are none.
Decisions hold_zeros(const ModelFile& file);

}  // namespace sparsify
