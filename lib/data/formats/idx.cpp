// MNIST's idx files (yann.lecun.com/exdb/mnist): two zero bytes, the element type, the rank,
// big-endian sizes, data. Gzipped or not.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "data/dataset.h"
#include "data/files.h"
#include "data/rows.h"
#include "data/label_source.h"
#include "data/source_files.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

struct IdxType {
  int code;
  DType type;
};
constexpr IdxType kTypes[] = {{0x08, DType::UInt8}, {0x09, DType::Int8},    {0x0B, DType::Int16},
                              {0x0C, DType::Int32}, {0x0D, DType::Float32}, {0x0E, DType::Float64}};

[[noreturn]] void fail(const fs::path& path, std::string what) {
  throw ResourceError{
      {.what = std::move(what), .where = path.string(), .fix = "get the idx file again"}};
}

HostTensor read_idx(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  const auto byte = [&](size_t i) { return static_cast<int>(bytes[i]); };
  const auto* known = bytes.size() < 4 || byte(0) != 0 || byte(1) != 0
                          ? std::end(kTypes)
                          : std::ranges::find(kTypes, byte(2), &IdxType::code);
  if (known == std::end(kTypes)) fail(path, "the file does not begin as an idx file does");
  const auto rank = static_cast<size_t>(byte(3));
  const size_t header = 4 + 4 * rank;
  if (rank == 0 || bytes.size() < header)
    fail(path, fmt::format("the header of rank {} is cut off", rank));

  Shape shape;
  int64_t count = 1;
  for (size_t axis = 0; axis < rank; ++axis) {
    int64_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | byte(4 + 4 * axis + i);
    shape.push_back(size);
    if (__builtin_mul_overflow(count, size, &count))
      fail(path, fmt::format("its shape is {}", to_text(shape)));
  }
  const auto stored = static_cast<int64_t>(bytes.size() - header);
  const int64_t width = bits_of(known->type) / 8;
  if (stored % width != 0 || stored / width != count) {
    const int64_t record = shape[0] > 0 ? std::max<int64_t>(1, count / shape[0]) * width : 1;
    const int64_t whole = stored / record;
    fail(path, fmt::format("{}{} is declared, but there are {} bytes: {}", name_of(known->type),
                           to_text(shape), stored,
                           whole < shape[0] ? fmt::format("record {} is cut off", whole)
                                            : std::string("more than its records")));
  }
  HostTensor tensor(known->type, shape);
  std::byte* out = tensor.mutable_bytes().data();
  for (int64_t i = 0; i < stored; i += width) {
    std::reverse_copy(bytes.data() + header + i, bytes.data() + header + i + width, out + i);
  }
  return tensor;
}

class Idx final : public Dataset, public FileSource, public LabelSource {
 public:
  explicit Idx(const Options& options)
      : images_(options.optional_text("images",
                                      "file of images in the folder, in place of the usual names")),
        labels_(options.optional_text("labels", "file of labels in the folder")) {
    constexpr auto kHelp = "folder with train-images-idx3-ubyte[.gz] and so on";
    source_ = images_ ? FolderAndSplit{options.text("path", "", kHelp), ""}
                      : read_folder_and_split(options, kHelp);
  }

  void bind(const InputSignature& signature, uint64_t) override {
    require_one_input(signature, describe());
    images_path_ = images_file();
    HostTensor images = read_idx(images_path_);
    is_image_ = images.shape().size() == 3;
    if (is_image_)
      images = images.reshaped({images.shape()[0], 1, images.shape()[1], images.shape()[2]});
    images_rows_ = Rows(std::move(images));

    if (!has_labels_file()) return;
    const fs::path path = labels_file();
    const HostTensor labels = read_idx(path);
    if (labels.shape() != Shape{images_rows_.size()} || is_prunable_float(labels.type())) {
      throw ShapeError{
          {.what = fmt::format("the labels are {}{}, there are {} images", name_of(labels.type()),
                               to_text(labels.shape()), images_rows_.size()),
           .where = path.string(),
           .fix = "use the label file that belongs to " + images_path_.string()}};
    }
    label_values_ = labels.to_integers();
  }

  std::vector<ArrayInfo> arrays() const override {
    return {{"images", images_rows_.type(), images_rows_.row_shape()}};
  }
  int64_t size() const override { return images_rows_.size(); }
  bool has_labels() const override { return !label_values_.empty(); }
  std::optional<ImageLayout> image_layout() const override {
    return is_image_ ? std::optional(ImageLayout::Chw) : std::nullopt;
  }
  std::vector<std::string> files() const override {
    std::vector<std::string> found = {images_file().string()};
    if (has_labels_file()) found.push_back(labels_file().string());
    return found;
  }
  std::string describe() const override {
    return images_ ? "idx " + (source_.folder / *images_).string()
                   : fmt::format("idx {}, {}", source_.folder.string(), source_.split);
  }
  std::string place(int64_t index) const override {
    return fmt::format("{}, record {}", images_path_.string(), index);
  }

  Sample read(int64_t index) const override {
    Sample sample;
    sample.inputs.push_back(images_rows_.at(index));
    if (has_labels()) sample.label = label(index);
    return sample;
  }
  HostTensor label(int64_t index) const override { return class_label(label_values_[index]); }

 private:
  bool has_labels_file() const { return labels_ || !images_; }
  fs::path images_file() const {
    return images_ ? source_.folder / *images_ : usual_file("images", 3);
  }
  fs::path labels_file() const {
    return labels_ ? source_.folder / *labels_ : usual_file("labels", 1);
  }

  fs::path usual_file(const std::string& kind, int rank) const {
    const std::string part = source_.split == "train" ? "train" : "t10k";
    std::vector<std::string> names;
    for (const char* separator : {"-", "."}) {
      const std::string name = fmt::format("{}-{}{}idx{}-ubyte", part, kind, separator, rank);
      names.insert(names.end(), {name, name + ".gz"});
    }
    return find_file(source_.folder, names, "name the files with the keys images and labels");
  }

  FolderAndSplit source_;
  std::optional<std::string> images_;
  std::optional<std::string> labels_;
  fs::path images_path_;
  Rows images_rows_;
  bool is_image_ = false;
  std::vector<int64_t> label_values_;
};

const Register<Dataset, Idx> entry{
    "idx", "MNIST's idx files, gzipped or not: a folder, or images and labels"};

}  // namespace
}  // namespace sparsify
