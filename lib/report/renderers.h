#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "report/run_report.h"

namespace sparsify {

/// Renderers show the numbers of a RunReport and add none. Same report, same bytes.

/// The document of `report.json` and of `prune --json`: the keys of docs/report.md, in that order; null for what was not
/// measured; text that is not UTF-8 is repaired.
nlohmann::ordered_json to_json(const RunReport& report);
/// The same as text, indented, with a final line feed.
std::string to_json_text(const RunReport& report);
/// One entry of its `gradient_cuts`, which `ops MODEL --json` has too.
nlohmann::ordered_json gradient_cut_object(const GradientCutRow& cut);

/// RFC 4180: a header line, one line per layer (skipped ones too), CRLF.
std::string to_csv(const RunReport& report);

/// One test case per gate and per verification, as CI systems read it.
std::string to_junit(const RunReport& report);

/// One page that needs nothing else: no network, no fonts, works without JavaScript (which sorts and filters).
std::string to_html(const RunReport& report);

struct TerminalOptions {
  int width = 80;         ///< columns; at least 60 are used
  bool colour = false;    ///< escape sequences (the caller honours NO_COLOR)
  bool utf8 = true;       ///< false: ASCII only
  bool verbose = false;   ///< every skipped tensor and every detail
  std::string html_path;  ///< where report.html lies; "" when there is none
};

/// The summary at the end of a run, for stdout.
std::string to_terminal(const RunReport& report, const TerminalOptions& options);

/// Renders `formats` (json, html, csv, junit) into `folder`, which is created, as report.json, report.html, layers.csv
/// and junit.xml. Nothing is written when one of them exists and `overwrite` is false; report.json comes last, so that
/// its presence means that the others are there.
///
///   returns  the paths written
///   throws   ConfigError for an unknown format or an existing file, ResourceError or ExhaustedError from writing
std::vector<std::string> write_report(const RunReport& report, const std::string& folder,
                                      const std::vector<std::string>& formats, bool overwrite);

}  // namespace sparsify
