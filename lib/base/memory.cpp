#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace sparsify {
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

/// The number behind `key` in a file of `key number` lines.
std::optional<int64_t> entry(const char* path, const std::string& key) {
  std::ifstream in(path);
  std::string name;
  for (int64_t number = 0; in >> name;) {
    if (!(in >> number)) {
      in.clear();
    } else if (name == key) {
      return number;
    }
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<int64_t> number_in(const char* path) {
  std::ifstream in(path);
  int64_t number = 0;
  if (in >> number) return number;
  return std::nullopt;  // no such file, or `max`
}

/// Limit - use of a control group; file pages that nobody touched lately are given up when memory is short.
int64_t left_of(const char* limit, const char* use, const char* statistics, const char* inactive) {
  const auto most = number_in(limit);
  const auto used = number_in(use);
  if (!most || !used) return kUnknown;
  return std::max<int64_t>(0, *most - *used + entry(statistics, inactive).value_or(0));
}

}  // namespace

int64_t available_memory() {
  const auto available = entry("/proc/meminfo", "MemAvailable:");
  return std::min({available ? *available * 1024 : kUnknown,
                   left_of("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"),
                   left_of("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                           "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file")});
}

}  // namespace sparsify
