#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/setting.h"

namespace sparsify {

/// A named set with its chain of `from` followed.
struct ResolvedSet {
  /// Which records of its source a set takes.
  struct Cut {
    std::string path;    ///< `data.train`
    std::string where;   ///< for messages
    int64_t skip = 0;    ///< records left out in front of `limit`
    int64_t limit = -1;  ///< -1: all
    int64_t samples = -1;
  };

  Setting keys;           ///< a map without `from`
  std::string path;       ///< `data.calibration`
  std::vector<Cut> cuts;  ///< the root of the chain first
};

/// A child inherits all keys but skip, limit, samples and shuffle; its own keys win.
/// throws ConfigError for a set that is not there and for a circle of `from`
ResolvedSet resolve_set(const std::string& name, const std::map<std::string, Setting>& sets);

/// The records that are left of `size` after all cuts. `samples` draws without replacement, seeded
/// by the run's seed and the set's name. throws ConfigError if fewer are there than `samples` asks
/// for
std::vector<int64_t> select_records(const ResolvedSet& set, int64_t size, uint64_t seed);

/// The order of one epoch: Fisher-Yates, seeded by (seed, epoch).
void shuffle_records(std::vector<int64_t>& records, uint64_t seed, uint64_t epoch);

}  // namespace sparsify
