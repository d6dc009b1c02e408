#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace sparsify {

enum class LogLevel { Quiet, Normal, Verbose, Debug };

/// Everything goes to stderr; stdout belongs to the result. Colours only on a terminal and without NO_COLOR.
void set_log_level(LogLevel level);
LogLevel log_level();

/// Also writes every line, with a time stamp and whatever the level, to `path` (`--log-file`).
void set_log_file(const std::string& path);

void log_line(LogLevel level, std::string_view text);
void log_warning_line(std::string_view text);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::Normal, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_verbose(fmt::format_string<Args...> format, Args&&... args) {
  if (log_level() >= LogLevel::Verbose) {
    log_line(LogLevel::Verbose, fmt::format(format, std::forward<Args>(args)...));
  }
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_warning_line(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sparsify
