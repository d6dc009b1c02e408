#include "onnx/external_data.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/error.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFixLocation =
    "save the model again with its data in one file beside it, for example with onnx.save(..., "
    "save_as_external_data=True)";
constexpr const char* kFixLink =
    "replace the link by a copy of the file, or trust it with --allow-linked-data";

[[noreturn]] void refuse(std::string what, const std::string& where, std::string fix) {
  throw ResourceError{{.what = std::move(what), .where = where, .fix = std::move(fix)}};
}

int64_t parse_number(const std::string& key, const std::string& text, const std::string& where) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end || number < 0) {
    refuse(fmt::format("the external data has the {} \"{}\"", key, text), where,
           "save the model again; this must be a whole number that is not negative");
  }
  return number;
}

/// Layer 1: what the text says, before anything is looked up.
void check_text(const std::string& location, const std::string& where) {
  const auto say = [&](const char* problem) {
    refuse(fmt::format("the external data location \"{}\" {}", location, problem), where,
           kFixLocation);
  };
  if (location.empty()) say("is empty");
  if (location.find('\0') != std::string::npos) say("has a zero byte");
  const fs::path path(location);
  if (path.is_absolute()) say("is an absolute path");
  for (const fs::path& part : path) {
    if (part == "..") say("leaves the model's folder with \"..\"");
  }
}

/// Layer 2: where it leads when the links are followed.
void check_resolved(const fs::path& folder, const fs::path& path, const std::string& location,
                    const std::string& where) {
  std::error_code error;
  const fs::path base = fs::weakly_canonical(folder, error);
  const fs::path resolved = fs::weakly_canonical(path, error);
  const fs::path inside = error ? fs::path() : resolved.lexically_relative(base);
  if (error || inside.empty() || *inside.begin() == "..") {
    refuse(fmt::format("the external data location \"{}\" leads outside the model's folder",
                       location),
           where, kFixLink);
  }
}

void check_no_links(const fs::path& folder, const std::string& location, const std::string& where) {
  fs::path path = folder;
  for (const fs::path& part : fs::path(location)) {
    path /= part;
    std::error_code error;
    if (fs::is_symlink(path, error)) {
      refuse(fmt::format("the external data location \"{}\" goes through the symbolic link \"{}\"",
                         location, part.string()),
             where, kFixLink);
    }
  }
}

/// Layer 3: the kernel refuses links while it opens, so nothing can be swapped in between.
int open_beneath(const fs::path& folder, const std::string& location) {
  const int base = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (base < 0) return -1;
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  auto descriptor =
      static_cast<int>(::syscall(SYS_openat2, base, location.c_str(), &how, sizeof how));
  if (descriptor < 0 && (errno == ENOSYS || errno == EPERM)) {
    // An older kernel or a filtering container: the last component at least must not be a link.
    descriptor = ::openat(base, location.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  }
  const int cause = errno;
  ::close(base);
  errno = cause;
  return descriptor;
}

}  // namespace

ExternalEntry parse_external_entry(const std::vector<std::pair<std::string, std::string>>& entries,
                                   const std::string& where) {
  ExternalEntry entry;
  std::set<std::string> seen;
  for (const auto& [key, value] : entries) {
    if (!seen.insert(key).second) {
      refuse(fmt::format("the external data has the key \"{}\" twice", key), where,
             "save the model again with one entry a key");
    }
    if (key == "location") entry.location = value;
    if (key == "offset") entry.offset = parse_number(key, value, where);
    if (key == "length") entry.length = parse_number(key, value, where);
  }
  if (!seen.contains("location")) {
    refuse("the tensor is stored externally but has no location", where, kFixLocation);
  }
  return entry;
}

std::shared_ptr<const MappedFile> open_external_data(const std::string& folder,
                                                     const std::string& location, bool allow_links,
                                                     const std::string& where) {
  check_text(location, where);
  const fs::path base = folder.empty() ? fs::path(".") : fs::path(folder);
  const fs::path path = base / location;
  if (!allow_links) {
    check_no_links(base, location, where);
    check_resolved(base, path, location, where);
  }
  const int descriptor = allow_links
                             ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                             : open_beneath(base, location);
  if (descriptor < 0) {
    const int cause = errno;
    refuse(fmt::format("the external data file \"{}\" cannot be read: {}", location,
                       std::strerror(cause)),
           where, "put the data file back beside the model");
  }
  struct stat info {};
  ::fstat(descriptor, &info);
  if (!S_ISREG(info.st_mode)) {
    ::close(descriptor);
    refuse(fmt::format("the external data location \"{}\" is not a regular file", location), where,
           kFixLocation);
  }
  // Layer 4: a second name of the same file could be anywhere.
  if (!allow_links && info.st_nlink > 1) {
    ::close(descriptor);
    refuse(fmt::format("the external data file \"{}\" has {} hard links", location,
                       static_cast<uint64_t>(info.st_nlink)),
           where, kFixLink);
  }
  return std::make_shared<const MappedFile>(descriptor, path.string());
}

}  // namespace sparsify
