#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace sparsify {

struct BlockSize {
  int64_t rows = 0;
  int64_t columns = 0;
};

/// `block 4x1`, as Pattern::describe() says it; nullopt for other patterns.
inline std::optional<BlockSize> parse_block(const std::string& description) {
  long long rows = 0;
  long long columns = 0;
  int used = 0;
  if (std::sscanf(description.c_str(), "block %lldx%lld%n", &rows, &columns, &used) != 2 || used != static_cast<int>(description.size())) return std::nullopt;
  return BlockSize{rows, columns};
}

}  // namespace sparsify
