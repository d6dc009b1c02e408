// A folder for each class, in sorted order of their names: the layout of ImageNet and of
// torchvision's ImageFolder.
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "data/dataset.h"
#include "data/decode.h"
#include "data/files.h"
#include "data/rows.h"
#include "data/label_source.h"
#include "data/source_files.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

class ImageFolder final : public Dataset, public FileSource, public LabelSource {
 public:
  explicit ImageFolder(const Options& options) {
    const auto split = options.optional_text("split", "subfolder of path: train, val ...");
    root_ = options.required_text("path", "folder with a folder for each class");
    if (split) root_ /= *split;
  }

  void bind(const InputSignature& signature, uint64_t) override {
    require_one_input(signature, describe());
    records_ = find_records();
  }

  std::vector<ArrayInfo> arrays() const override {
    return {{"images", DType::UInt8, {-1, -1, -1}}};
  }
  int64_t size() const override { return static_cast<int64_t>(records_.size()); }
  bool has_labels() const override { return true; }
  std::optional<ImageLayout> image_layout() const override { return ImageLayout::Hwc; }
  std::vector<std::string> files() const override {
    std::vector<std::string> found;
    for (const Record& record : find_records()) found.push_back(record.path.string());
    return found;
  }
  std::string describe() const override { return "image_folder " + root_.string(); }
  std::string place(int64_t index) const override {
    return fmt::format("{}, record {}", records_[index].path.string(), index);
  }

  Sample read(int64_t index) const override {
    Sample sample;
    sample.inputs.push_back(decode_image(read_file(records_[index].path), place(index)));
    sample.label = label(index);
    return sample;
  }
  HostTensor label(int64_t index) const override { return class_label(records_[index].label); }

 private:
  struct Record {
    fs::path path;
    int64_t label = 0;
  };

  [[noreturn]] void fail(std::string what, std::string fix) const {
    throw ResourceError{{.what = std::move(what), .where = root_.string(), .fix = std::move(fix)}};
  }

  std::vector<Record> find_records() const {
    std::vector<Record> records;
    if (std::error_code ignored; !fs::is_directory(root_, ignored)) {
      fail("there is no such folder", "check path and split");
    }
    std::vector<fs::path> folders;
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
      if (entry.is_directory()) folders.push_back(entry.path());
    }
    std::ranges::sort(folders);
    for (size_t label = 0; label < folders.size(); ++label) {
      std::vector<fs::path> files;
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folders[label])) {
        if (entry.is_regular_file() && is_image_name(entry.path())) files.push_back(entry.path());
      }
      if (files.empty()) {
        fail(fmt::format("class folder \"{}\" has no image", folders[label].filename().string()),
             "remove it, or add .jpg, .jpeg or .png files");
      }
      std::ranges::sort(files);
      for (fs::path& file : files)
        records.push_back({std::move(file), static_cast<int64_t>(label)});
    }
    if (records.empty()) {
      fail("looked for a folder for each class with .jpg, .jpeg or .png files, and found none",
           "check path and split");
    }
    return records;
  }

  fs::path root_;
  std::vector<Record> records_;
};

const Register<Dataset, ImageFolder> entry{"image_folder",
                                           "a folder for each class, with JPEG and PNG files"};

}  // namespace
}  // namespace sparsify
