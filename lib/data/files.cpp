#include "data/files.h"

#include <fmt/core.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/names.h"

namespace sparsify {
namespace fs = std::filesystem;

fs::path find_file(const fs::path& folder, const std::vector<std::string>& names,
                   const std::string& fix) {
  for (const std::string& name : names) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / name, ignored)) return folder / name;
  }
  const bool exists = fs::exists(folder);
  throw ResourceError{
      {.what = !exists ? fmt::format("the folder does not exist (looked for {} in it)", join(names))
               : names.size() == 1 ? fmt::format("{} is not there", names.front())
                                   : fmt::format("none of {} is there", join(names)),
       .where = folder.string(),
       .fix = fix}};
}

FolderAndSplit read_folder_and_split(const Options& options, const std::string& help) {
  const std::string split = options.optional_text("split", "train or test; required").value_or("");
  const std::string folder = options.required_text("path", help);
  if (split != "train" && split != "test") {
    throw ConfigError{
        {.what = split.empty() ? "split is not given" : fmt::format("split is \"{}\"", split),
         .where = options.where("split"),
         .fix = "set split: train or split: test"}};
  }
  return {folder, split};
}

void require_one_input(const InputSignature& signature, const std::string& source) {
  if (signature.size() == 1) return;
  throw ShapeError{
      {.what = fmt::format("the model has {} inputs, this format feeds one", signature.size()),
       .where = source,
       .fix = "use npz with an array for each input"}};
}

fs::path file_of_split(const Options& options, const std::string& extension,
                       const std::vector<std::string>& synonyms) {
  const auto split =
      options.optional_text("split", "in a folder: which file, without " + extension);
  const fs::path path =
      options.required_text("path", "a file, or a folder with a file for each split");
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (split) {
      throw ConfigError{
          {.what = fmt::format("split is \"{}\", but the path is not a folder", *split),
           .where = options.where("split"),
           .fix = fmt::format("remove split, or name a folder that has {}{}", *split, extension)}};
    }
    return path;
  }
  if (!split) {
    throw ConfigError{{.what = fmt::format("\"{}\" is a folder", path.string()),
                       .where = options.where("path"),
                       .fix = fmt::format("name a {} file, or set split: NAME for NAME{}",
                                          extension, extension)}};
  }
  std::vector<std::string> names = {*split + extension};
  if (std::ranges::find(synonyms, *split) != synonyms.end()) {
    for (const std::string& synonym : synonyms) {
      if (synonym != *split) names.push_back(synonym + extension);
    }
  }
  return find_file(path, names, "check path and split");
}

std::vector<std::byte> read_file(const fs::path& path) {
  const auto fail = [&](std::string what, std::string fix) {
    throw ResourceError{{.what = std::move(what), .where = path.string(), .fix = std::move(fix)}};
  };
  std::error_code error;
  if (!fs::is_regular_file(path, error)) fail("there is no such file", "check the path");
  const uintmax_t stored = fs::file_size(path, error);

  errno = 0;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose_r);
  if (!file)
    fail(fmt::format("the file cannot be opened: {}", std::strerror(errno)),
         "check its permissions");
  gzbuffer(file.get(), 1 << 18);

  // One byte more than a plain file has, so that its end is seen without growing the buffer.
  std::vector<std::byte> bytes(stored + 1);
  size_t size = 0;
  while (true) {
    const auto room = static_cast<unsigned>(std::min<size_t>(bytes.size() - size, 1 << 30));
    const int got = gzread(file.get(), bytes.data() + size, room);
    int code = Z_OK;
    const char* message = gzerror(file.get(), &code);
    if (got < 0 || (got == 0 && code != Z_OK)) {
      fail(fmt::format("the file cannot be read: {}",
                       code == Z_BUF_ERROR ? "the compressed data end too early" : message),
           "copy or download it again");
    }
    if (got == 0) break;
    size += static_cast<size_t>(got);
    if (size == bytes.size()) bytes.resize(bytes.size() * 2);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace sparsify
