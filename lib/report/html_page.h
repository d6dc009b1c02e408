#pragma once

#include <string>

#include "report/run_report.h"

namespace sparsify {

/// The parts of report.html that do not depend on the run.
extern const char* const kPageStyle;   ///< CSS
extern const char* const kPageScript;  ///< JavaScript: sorting, filtering, copying; the page is complete without it

/// The sections about single tensors, as HTML; "" where there is nothing to show.
std::string layer_chart(const RunReport& report);
std::string layer_table(const RunReport& report);
std::string mask_pictures(const RunReport& report);
std::string skipped_tensors(const RunReport& report);

}  // namespace sparsify
