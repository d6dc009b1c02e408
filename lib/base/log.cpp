#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace sparsify {
namespace {

struct Sinks {
  std::shared_ptr<spdlog::logger> terminal;
  std::shared_ptr<spdlog::logger> file;
  LogLevel level = LogLevel::Normal;
};

Sinks& sinks() {
  static Sinks* state = [] {
    auto* fresh = new Sinks;
    const char* no_color = std::getenv("NO_COLOR");
    const bool plain = (no_color != nullptr && *no_color != '\0') || !::isatty(STDERR_FILENO);
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
        plain ? spdlog::color_mode::never : spdlog::color_mode::always);
    fresh->terminal = std::make_shared<spdlog::logger>("sparsify", sink);
    fresh->terminal->set_pattern("%^%v%$");
    fresh->terminal->set_level(spdlog::level::trace);
    return fresh;
  }();
  return *state;
}

}  // namespace

void set_log_level(LogLevel level) { sinks().level = level; }
LogLevel log_level() { return sinks().level; }

void set_log_file(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, /*truncate=*/true);
    sinks().file = std::make_shared<spdlog::logger>("file", sink);
    sinks().file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    sinks().file->set_level(spdlog::level::trace);
    sinks().file->flush_on(spdlog::level::trace);
  } catch (const spdlog::spdlog_ex& e) {
    throw ResourceError{{.what = std::string("the log file cannot be written: ") + e.what(),
                         .where = path,
                         .fix = "name a file in a folder that exists and is writable"}};
  }
}

void log_line(LogLevel level, std::string_view text) {
  if (sinks().file) sinks().file->info(text);
  if (level <= sinks().level) sinks().terminal->log(spdlog::level::trace, text);
}

void log_warning_line(std::string_view text) {
  if (sinks().file) sinks().file->warn(text);
  if (sinks().level > LogLevel::Quiet) {
    sinks().terminal->log(spdlog::level::warn, "warning: {}", text);
  }
}

}  // namespace sparsify
