#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/log_file.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileFormat = "%Y-%m-%dT%H:%M:%S.%e %l %v";
constexpr std::string_view kTimeStamp = "0000-00-00T00:00:00.000 ";  // what kFileFormat begins every line with; 0 is any digit

struct Sinks {
  std::shared_ptr<spdlog::logger> terminal;
  std::shared_ptr<spdlog::logger> file;
  LogLevel level = LogLevel::Normal;
  std::string file_path;
  std::string file_problem;  ///< the first line that could not be written
  bool begun = false;        ///< the log has its first line
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

bool is_log(const std::string& path) {
  std::string start(kTimeStamp.size(), '\0');
  std::ifstream(path, std::ios::binary).read(start.data(), static_cast<std::streamsize>(start.size()));
  for (size_t i = 0; i < start.size(); ++i) {
    const bool fits = kTimeStamp[i] == '0' ? std::isdigit(static_cast<unsigned char>(start[i])) != 0 : start[i] == kTimeStamp[i];
    if (!fits) return false;
  }
  return true;
}

/// A flag without its value takes the next word: `--log-file model.onnx` must not cost the model. Devices and pipes hold nothing to lose.
void require_log(const std::string& path) {
  std::error_code ignored;
  const bool holds_something = fs::is_regular_file(path, ignored) && fs::file_size(path, ignored) > 0;
  const char* what = path.ends_with(".onnx")                 ? "a log is no model"
                     : fs::is_directory(path, ignored)        ? "the log file is a folder"
                     : holds_something && !is_log(path) ? "the file is there and is no log of this program"
                                                              : nullptr;
  if (what == nullptr) return;
  throw ConfigError{{.what = what, .where = path + " (--log-file)", .fix = "name a new file, or the log of an earlier run to go on with, as in --log-file run.log"}};
}

}  // namespace

void set_log_level(LogLevel level) { sinks().level = level; }
LogLevel log_level() { return sinks().level; }

void set_log_file(const std::string& path) {
  require_log(path);
  try {
    const fs::path folder = fs::absolute(path).parent_path();
    if (!fs::is_directory(folder)) throw spdlog::spdlog_ex(folder.string() + " is no folder");  // spdlog would make it
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, /*truncate=*/false);
    sinks().file = std::make_shared<spdlog::logger>("file", sink);
    sinks().file->set_pattern(kFileFormat);
    sinks().file->set_level(spdlog::level::trace);
    sinks().file->flush_on(spdlog::level::trace);
    sinks().file->set_error_handler([path](const std::string& problem) {
      if (sinks().file_problem.empty()) {
        sinks().file_problem = problem;
        if (sinks().begun) sinks().terminal->log(spdlog::level::warn, "warning: the log file {} is not complete: {}", path, problem);
      }
    });
    sinks().file_path = path;
  } catch (const spdlog::spdlog_ex& e) {
    throw ResourceError{{.what = std::string("the log file cannot be written: ") + e.what(),
                         .where = path,
                         .fix = "name a file in a folder that exists and is writable"}};
  }
}

void note_in_log_file(std::string_view text) {
  if (!sinks().file) return;
  sinks().file->info(text);
  if (!sinks().begun && !sinks().file_problem.empty()) {
    throw ExhaustedError{{.what = "the log file cannot be written: " + sinks().file_problem, .where = sinks().file_path, .fix = "free some space, or write the log to another disk"}};
  }
  sinks().begun = true;
}

void note_failure_in_log_file(std::string_view text) {
  constexpr std::string_view kTag = "error: ";  // the line's level says so
  if (sinks().file) sinks().file->error(text.starts_with(kTag) ? text.substr(kTag.size()) : text);
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
