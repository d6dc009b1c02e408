#pragma once

#include <string>

#include "train/trainer.h"

namespace sparsify {

/// What the first of several processes tells the others of a task: everything that decides the course of the steps and is
/// not in the recipe. They make the rest from the recipe themselves.
std::string order_of(const TrainTask& task);

/// Puts it into a task that was made from the recipe. What only the first process does is taken out.
void follow(const std::string& order, TrainTask& task);

}  // namespace sparsify
