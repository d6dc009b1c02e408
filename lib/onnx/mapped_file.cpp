#include "onnx/mapped_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace sparsify {
namespace {

[[noreturn]] void fail_to_read(const std::string& path, int cause) {
  throw ResourceError{{.what = fmt::format("the file cannot be read: {}", std::strerror(cause)),
                       .where = path,
                       .fix = cause == ENOENT ? "check the path" : "check the file's permissions"}};
}

FileIdentity identity_of(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size,
          info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
}

struct Descriptor {
  int number;
  ~Descriptor() { ::close(number); }
};

}  // namespace

MappedFile::MappedFile(int descriptor, std::string path) : path_(std::move(path)) {
  const Descriptor closing{descriptor};
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) fail_to_read(path_, errno);
  if (!S_ISREG(info.st_mode)) {
    throw ResourceError{{.what = S_ISDIR(info.st_mode) ? "this is a folder, not a file"
                                                       : "this is not a regular file",
                         .where = path_,
                         .fix = "name a file on disk"}};
  }
  identity_ = identity_of(info);
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) fail_to_read(path_, errno);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail_to_read(path, errno);
  return std::make_shared<const MappedFile>(descriptor, path);
}

void MappedFile::require_not_written() const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return;
  const FileIdentity now = identity_of(info);
  if (now.device != identity_.device || now.inode != identity_.inode || now == identity_) return;
  throw ResourceError{{.what = "the file changed while it was in use",
                       .where = path_,
                       .fix = "start again when nothing else writes to the file"}};
}

void MappedFile::release() const {
  if (!bytes_.empty()) ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

}  // namespace sparsify
