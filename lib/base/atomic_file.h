#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/sha256.h"

namespace sparsify {

/// A file that appears whole or not at all: written beside its target under a temporary name, synced
/// and renamed by commit(). Destroyed without commit(), it leaves nothing and the old file intact.
///
///   throws  ResourceError when the folder is missing or not writable
///           ExhaustedError when the disk is full
class AtomicFile {
 public:
  /// `path` is the final name. Refuses an existing one unless `overwrite`.
  AtomicFile(std::string path, bool overwrite);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Claims the disk space of a file whose size is known, so that a full disk is told before any work; also saves
  /// the system from finding it piece by piece. File systems that cannot are left alone.
  void reserve(int64_t bytes);
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  int64_t size_bytes() const { return size_bytes_; }
  const std::string& path() const { return path_; }
  /// Where the bytes are until commit(): written bytes can be read back from there at any time.
  const std::string& temporary_path() const { return temporary_path_; }

  /// fsync, rename, fsync of the folder. Returns the SHA-256 of what was written.
  /// throws ConfigError when, without `overwrite`, the target has appeared meanwhile
  std::string commit();

 private:
  void rename_temporary();

  std::string path_;
  bool overwrite_;
  std::string temporary_path_;
  int descriptor_ = -1;
  int64_t size_bytes_ = 0;
  Sha256 digest_;
};

/// One call for small files.
void write_file_atomically(const std::string& path, std::string_view text, bool overwrite);

/// Throws ConfigError (exit 2) naming `--overwrite` when `path` exists, and ResourceError when its folder
/// is missing or not writable. Called before any work.
void require_writable_output(const std::string& path, bool overwrite);

}  // namespace sparsify
