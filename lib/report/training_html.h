#pragma once

#include <string>

#include "report/run_report.h"

namespace sparsify {

/// Curves of loss, metric, sparsity and learning rate as a section of report.html, drawn as inline SVG; "" without training.
std::string training_curves(const RunReport& report);
extern const char* const kTrainingStyle;  ///< CSS of these

}  // namespace sparsify
