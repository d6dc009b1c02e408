#include "base/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"

namespace sparsify {
namespace {

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::string task, int64_t total)
    : task_(std::move(task)),
      total_(std::max<int64_t>(total, 1)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      drawn_(start_) {}

Progress::~Progress() {
  if (shown_) draw(/*last=*/true);
}

void Progress::advance(int64_t steps, const std::string& note) {
  done_ += steps;
  note_ = note;
  const Clock::time_point now = Clock::now();
  if (now - drawn_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10))) return;
  drawn_ = now;
  draw(/*last=*/false);
}

void Progress::draw(bool last) {
  if (log_level() == LogLevel::Quiet) return;
  shown_ = true;
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double fraction = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  const double left = fraction > 0 ? elapsed / fraction - elapsed : 0;
  const std::string text = fmt::format("{} {:3.0f} % [{}, {} left] {}", task_, 100 * fraction,
                                       clock_text(elapsed), clock_text(left), note_);
  if (terminal_) {
    const int filled = static_cast<int>(fraction * 24);
    std::fprintf(stderr, "\r%s%s %s\x1b[K%s", std::string(static_cast<size_t>(filled), '#').c_str(),
                 std::string(static_cast<size_t>(24 - filled), '.').c_str(), text.c_str(),
                 last ? "\r\x1b[K" : "");
    std::fflush(stderr);
  } else if (!last) {
    log_line(LogLevel::Normal, text);
  }
}

}  // namespace sparsify
