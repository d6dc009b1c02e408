#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace sparsify {

/// What tells whether a file is still the one that was opened.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};

/// A file mapped read-only. Pages come in as they are read and can be dropped again by the system.
class MappedFile {
 public:
  /// Takes the descriptor and closes it. Throws ResourceError naming `path` unless it is a regular file.
  MappedFile(int descriptor, std::string path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// Follows links. Throws ResourceError.
  static std::shared_ptr<const MappedFile> open(const std::string& path);

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }
  const FileIdentity& identity() const { return identity_; }

  /// Throws ResourceError when the file was written to since it was mapped. It may have been removed or replaced
  /// under its name: the mapping keeps what it was.
  void require_not_written() const;

  /// All pages may leave memory; whoever reads on brings them back from the file.
  void release() const;

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
  FileIdentity identity_;
};

}  // namespace sparsify
