#include "data/archive.h"

#include <fmt/core.h>
#include <zip.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace sparsify {

ZipArchive::ZipArchive(std::string path) : path_(std::move(path)), zip_(nullptr, zip_discard) {
  if (std::error_code ignored; !std::filesystem::is_regular_file(path_, ignored))
    fail("there is no such file");
  int code = 0;
  zip_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &code));
  if (!zip_) fail("the file is not a zip archive, or it is cut off");
  const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    entries_[zip_get_name(zip_.get(), index, ZIP_FL_ENC_RAW)] = index;
  }
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : entries_) names.push_back(name);
  return names;
}

std::vector<std::byte> ZipArchive::read(const std::string& name) const {
  const zip_uint64_t index = entries_.at(name);
  zip_stat_t info;
  zip_stat_init(&info);
  std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(nullptr, zip_fclose);
  if (zip_stat_index(zip_.get(), index, 0, &info) == 0)
    file.reset(zip_fopen_index(zip_.get(), index, 0));
  if (!file) fail(fmt::format("\"{}\" cannot be read: {}", name, zip_strerror(zip_.get())));

  std::vector<std::byte> bytes;
  zip_uint64_t size = 0;
  while (size < info.size) {
    // Grown step by step: a forged size must not ask for all memory at once.
    bytes.resize(std::min<zip_uint64_t>(info.size, std::max<zip_uint64_t>(size * 2, 1 << 24)));
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + size, bytes.size() - size);
    if (got <= 0) fail(fmt::format("\"{}\" is damaged or cut off", name));
    size += static_cast<zip_uint64_t>(got);
  }
  // libzip compares the checksum when it is asked for what follows the last byte.
  std::byte beyond{};
  if (zip_fread(file.get(), &beyond, 1) != 0)
    fail(fmt::format("\"{}\" is damaged: its checksum does not match", name));
  return bytes;
}

void ZipArchive::fail(std::string what) const {
  throw ResourceError{
      {.what = std::move(what), .where = path_, .fix = "check the path, or save the file again"}};
}

}  // namespace sparsify
