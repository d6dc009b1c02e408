#pragma once

#include <string>

#include "report/run_report.h"

namespace sparsify {

/// The parts of report.html that do not depend on the run.
extern const char* const kPageStyle;   ///< CSS
extern const char* const kPageScript;  ///< JavaScript: sorting, filtering, copying; the page is complete without it

/// From the doctype to <body>. `title` is escaped here; `more_style` is CSS that follows kPageStyle.
std::string html_head(const std::string& title, const std::string& version, const char* more_style = "");

/// The box that filters the table of layers (kPageScript), hidden without JavaScript; `by` is `name, op, shape`.
std::string filter_box(const std::string& by);

/// The sections about single tensors, as HTML; "" where there is nothing to show.
std::string layer_chart(const RunReport& report);
std::string layer_table(const RunReport& report);
std::string mask_pictures(const RunReport& report);
std::string skipped_tensors(const RunReport& report);

}  // namespace sparsify
