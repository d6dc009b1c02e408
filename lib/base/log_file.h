#pragma once

#include <string_view>

namespace sparsify {

// What goes to the log file alone; nothing happens without one. It is opened by set_log_file() of base/log.h, which continues a log that is
// there, makes no folder, and refuses with a ConfigError what is no log of this program.

/// Such as the command of the run. The first such line says whether the file takes any: throws ExhaustedError if not.
void note_in_log_file(std::string_view text);
/// What a run ended with; the terminal gets it from `main`.
void note_failure_in_log_file(std::string_view text);

}  // namespace sparsify
