#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/disk_error.h"
#include "base/error.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

[[noreturn]] void refuse_existing(const std::string& path) {
  throw ConfigError{{.what = "the output exists",
                     .where = path,
                     .fix = "choose another name, or allow it with --overwrite"}};
}

}  // namespace

void fail_to_write(const std::string& path, int cause) {
  if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG) {
    throw ExhaustedError{{.what = fmt::format("the disk is full: {}", std::strerror(cause)),
                          .where = path,
                          .fix = "free some space or write to another disk; nothing was changed"}};
  }
  throw ResourceError{{.what = fmt::format("nothing can be written there: {}", std::strerror(cause)),
                       .where = path,
                       .fix = "choose a folder that exists and that you may write to"}};
}

void require_writable_output(const std::string& path, bool overwrite) {
  const std::string folder = folder_of(path);
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    throw ResourceError{{.what = fmt::format("the folder \"{}\" does not exist", folder),
                         .where = path,
                         .fix = fmt::format("create it: mkdir -p {}", folder)}};
  }
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) {
      throw ConfigError{{.what = "the output is a folder", .where = path, .fix = "name a file in it"}};
    }
    if (!S_ISREG(info.st_mode)) {  // renaming over /dev/null would replace the device
      throw ConfigError{{.what = "the output is a device or pipe", .where = path, .fix = "name a file"}};
    }
    if (!overwrite) refuse_existing(path);
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) fail_to_write(path, errno);
}

AtomicFile::AtomicFile(std::string path, bool overwrite) : path_(std::move(path)), overwrite_(overwrite) {
  require_writable_output(path_, overwrite_);
  // A name of its own even among threads, and never one that is there, be it a link or left by a killed run.
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_path_ = fmt::format("{}/.{}.{}.{}.part", folder_of(path_), fs::path(path_).filename().string(),
                                  ::getpid(), attempt);
    descriptor_ = ::open(temporary_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) fail_to_write(path_, errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_path_.c_str());
}

void AtomicFile::reserve(int64_t bytes) {
  // Not posix_fallocate: where the file system cannot, that writes the whole file once in zeros.
  if (bytes <= 0 || ::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0) return;
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) fail_to_write(path_, errno);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  digest_.update(bytes);
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to_write(path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    size_bytes_ += written;
  }
}

std::string AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail_to_write(path_, errno);
  rename_temporary();
  ::close(descriptor_);
  descriptor_ = -1;
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return digest_.finish();
}

/// Without `overwrite`, a file that appeared since the start is not replaced (where the file system can tell).
void AtomicFile::rename_temporary() {
  const char* from = temporary_path_.c_str();
  if (!overwrite_) {
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) return;
    if (errno == EEXIST) refuse_existing(path_);
    if (errno != EINVAL && errno != ENOSYS) fail_to_write(path_, errno);
    require_writable_output(path_, overwrite_);
  }
  if (::rename(from, path_.c_str()) != 0) fail_to_write(path_, errno);
}

void write_file_atomically(const std::string& path, std::string_view text, bool overwrite) {
  AtomicFile file(path, overwrite);
  file.write(text);
  file.commit();
}

}  // namespace sparsify
