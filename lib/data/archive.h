#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct zip;

namespace sparsify {

/// A zip archive, opened for reading; stored and deflated entries.
class ZipArchive {
 public:
  /// throws ResourceError if there is none at `path`, or if it is cut off
  explicit ZipArchive(std::string path);

  const std::string& path() const { return path_; }
  bool contains(const std::string& name) const { return entries_.contains(name); }
  std::vector<std::string> names() const;
  /// The whole entry, its checksum verified. `name` must be one of names().
  /// throws ResourceError if it is damaged
  std::vector<std::byte> read(const std::string& name) const;

 private:
  [[noreturn]] void fail(std::string what) const;

  std::string path_;
  std::unique_ptr<zip, void (*)(zip*)> zip_;
  std::map<std::string, uint64_t> entries_;
};

}  // namespace sparsify
