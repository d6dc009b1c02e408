#include "base/scratch_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace sparsify {
namespace {

[[noreturn]] void refuse(int cause) {
  const std::string folder = std::filesystem::temp_directory_path().string();
  const std::string fix = "set TMPDIR to a folder with more room, or use fewer calibration samples";
  if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG) {
    throw ExhaustedError{{.what = "the disk that holds activations while they do not fit into memory is full", .where = folder, .fix = fix}};
  }
  throw ResourceError{{.what = fmt::format("activations that do not fit into memory cannot be put on disk: {}", std::strerror(cause)), .where = folder, .fix = fix}};
}

}  // namespace

ScratchFile::~ScratchFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int64_t ScratchFile::put(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) {
    std::string name = (std::filesystem::temp_directory_path() / "sparsify-scratch.XXXXXX").string();
    descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (descriptor_ < 0) refuse(errno);
    ::unlink(name.c_str());
  }
  const int64_t place = end_;
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, place + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) refuse(count == 0 ? ENOSPC : errno);
    done += static_cast<size_t>(count);
  }
  end_ += static_cast<int64_t>(bytes.size());
  return place;
}

void ScratchFile::get(int64_t place, std::span<std::byte> bytes) const {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::pread(descriptor_, bytes.data() + done, bytes.size() - done, place + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) refuse(count == 0 ? EIO : errno);
    done += static_cast<size_t>(count);
  }
}

void ScratchFile::free(int64_t place, int64_t size) {
  if (size > 0) ::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place, size);
}

}  // namespace sparsify
