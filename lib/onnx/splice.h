#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "onnx/tensor_scan.h"

namespace sparsify {

using Sink = std::function<void(std::span<const std::byte>)>;

/// Other bytes in place of [begin, end) of the file; begin == end inserts.
struct Splice {
  size_t begin = 0;
  size_t end = 0;
  int frame = -1;     ///< the innermost frame that holds these bytes
  uint64_t size = 0;  ///< of what `emit` gives
  std::function<void(const Sink&)> emit;
};

Splice replace_bytes(size_t begin, size_t end, int frame, std::string bytes);

/// Sorts the splices and adds those for the length prefixes of all frames whose length changes. Prefixes of other
/// frames keep their bytes.
std::vector<Splice> with_length_prefixes(const std::vector<Frame>& frames,
                                         std::vector<Splice> splices);

/// Bytes of a file of `size` bytes after the splices of with_length_prefixes().
int64_t spliced_size(size_t size, const std::vector<Splice>& splices);

/// The file with the splices of with_length_prefixes(), in pieces of at most 1 MiB.
void emit_spliced(std::span<const std::byte> file, const std::vector<Splice>& splices,
                  const Sink& sink);

std::string spliced_text(std::span<const std::byte> file, const std::vector<Frame>& frames,
                         std::vector<Splice> splices);

/// Passes bytes on in pieces of at most 1 MiB.
void emit_bytes(std::span<const std::byte> bytes, const Sink& sink);

}  // namespace sparsify
