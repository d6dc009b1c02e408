#include "onnx/file_on_disk.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "onnx/model_impl.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// A hard link costs nothing, and readers that refuse symbolic links for safety take it.
void put(const std::string& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, error);
  if (!error) return;
  throw ResourceError{{.what = fmt::format("\"{}\" cannot be linked or copied: {}", from, error.message()), .where = to.string(), .fix = "make room there"}};
}

}  // namespace

FileOnDisk::FileOnDisk(const ModelFile& file) : path_(file.path()) {
  const ModelFile::Impl& impl = ModelFile::Impl::of(file);
  const fs::path beside = fs::path(path_).parent_path();
  const bool in_place = std::all_of(impl.data_files.begin(), impl.data_files.end(), [&](const DataFile& data) {
    std::error_code error;
    return fs::equivalent(beside / data.location, data.file->path(), error) && !error;
  });
  if (in_place) return;
  folder_ = path_ + ".XXXXXX";
  if (::mkdtemp(folder_.data()) == nullptr) {
    throw ResourceError{{.what = "no temporary folder can be made", .where = beside.string(), .fix = "check that the folder is writable"}};
  }
  try {
    put(path_, fs::path(folder_) / "model.onnx");
    for (const DataFile& data : impl.data_files) put(data.file->path(), fs::path(folder_) / data.location);
  } catch (...) {
    std::error_code error;
    fs::remove_all(folder_, error);
    throw;
  }
  path_ = (fs::path(folder_) / "model.onnx").string();
}

FileOnDisk::~FileOnDisk() {
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
}

}  // namespace sparsify
