#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sparsify {

/// A bar with remaining time on a terminal's stderr, a line every ten seconds elsewhere; nothing with `-q`.
class Progress {
 public:
  Progress(std::string task, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note` is shown behind the bar: `loss 0.31`.
  void advance(int64_t steps = 1, const std::string& note = "");

 private:
  void draw(bool last);

  using Clock = std::chrono::steady_clock;
  std::string task_;
  std::string note_;
  int64_t total_;
  int64_t done_ = 0;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_;
  Clock::time_point drawn_;
};

}  // namespace sparsify
