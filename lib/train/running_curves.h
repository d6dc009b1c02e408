#pragma once

#include <string>

#include "train/history.h"

namespace sparsify {

/// The curves of a training that goes on, in the folder of its checkpoints: training.csv, TensorBoard's event file and
/// log.jsonl with a line an epoch, points in the order in which they came. What is there and still true is only appended to,
/// as TensorBoard reads on in the file that it opened; what is not, as points after the checkpoint from which a killed run was
/// resumed, is replaced with the whole file. Without a point nothing is written.
///
///   throws  ExhaustedError (disk full), ResourceError; what was whole stays
void write_running_curves(const TrainHistory& history, const std::string& folder);

}  // namespace sparsify
