#pragma once

#include "train/trainer.h"

namespace sparsify {

/// Whether the weights that training starts from are those of the teacher, with nothing that pruned or will prune them: the
/// teacher then has nothing to teach.
bool is_own_teacher(const TrainTask& task);

}  // namespace sparsify
