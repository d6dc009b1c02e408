#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

namespace sparsify {

/// Two numbers of a text that `format` (of scanf: two %lld and a last %n) reads from its first to its last character.
inline std::optional<std::pair<int64_t, int64_t>> two_numbers(const std::string& text, const char* format) {
  long long first = 0;
  long long second = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), format, &first, &second, &used) != 2 || used != static_cast<int>(text.size())) return std::nullopt;
  return std::pair<int64_t, int64_t>{first, second};
}

struct BlockSize {
  int64_t rows = 0;
  int64_t columns = 0;
};

/// `block 4x1`, as Pattern::describe() says it; nullopt for other patterns.
inline std::optional<BlockSize> parse_block(const std::string& description) {
  const auto numbers = two_numbers(description, "block %lldx%lld%n");
  return numbers ? std::optional(BlockSize{numbers->first, numbers->second}) : std::nullopt;
}

}  // namespace sparsify
