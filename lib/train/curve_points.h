#pragma once

#include <string>

#include "train/history.h"

namespace sparsify {

/// What a file of curves has for one point; a file is its beginning and the points, in any order.

std::string csv_beginning();
///   kind  `step` or `epoch`
std::string csv_point(const char* kind, const TrainRow& row);

///   time  of the first point
std::string event_beginning(double time);
std::string step_events(const TrainRow& row);
///   metric  name of TrainRow::metric
std::string epoch_events(const TrainRow& row, const std::string& metric);

}  // namespace sparsify
