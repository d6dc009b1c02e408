#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sparsify {

/// Room on disk for what memory should not hold. The file has no name, so nothing is left of it however the program ends; it is
/// made in $TMPDIR (/tmp without it) when the first bytes come.
class ScratchFile {
 public:
  ScratchFile() = default;
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  /// Returns where the bytes are.
  /// throws ExhaustedError when the disk is full, ResourceError when no file can be made
  int64_t put(std::span<const std::byte> bytes);
  /// throws ResourceError when they cannot be read
  void get(int64_t place, std::span<std::byte> bytes) const;
  /// The disk gets the space back, where the file system can do that.
  void free(int64_t place, int64_t size);

 private:
  int descriptor_ = -1;
  int64_t end_ = 0;
};

}  // namespace sparsify
