// CIFAR-10 in its binary version (cs.toronto.edu/~kriz/cifar.html): records of one label byte and
// 3,072 pixel bytes, CHW; data_batch_1.bin to data_batch_5.bin for training, test_batch.bin for
// testing.
#include <fmt/core.h>

#include <filesystem>

#include "data/dataset.h"
#include "data/files.h"
#include "data/rows.h"
#include "data/label_source.h"
#include "data/source_files.h"

namespace sparsify {
namespace {

constexpr int64_t kPixels = 3 * 32 * 32;
constexpr int64_t kRecord = 1 + kPixels;
constexpr int64_t kClasses = 10;

class Cifar10 final : public Dataset, public FileSource, public LabelSource {
 public:
  explicit Cifar10(const Options& options)
      : source_(read_folder_and_split(options,
                                      "folder with data_batch_1.bin ... and test_batch.bin")) {}

  void bind(const InputSignature& signature, uint64_t) override {
    require_one_input(signature, describe());
    for (const std::string& file : files()) load(file);
  }

  std::vector<ArrayInfo> arrays() const override { return {{"images", DType::UInt8, {3, 32, 32}}}; }
  int64_t size() const override { return size_; }
  bool has_labels() const override { return true; }
  std::optional<ImageLayout> image_layout() const override { return ImageLayout::Chw; }
  std::vector<std::string> files() const override {
    const int count = source_.split == "train" ? 5 : 1;
    std::vector<std::string> found;
    for (int i = 1; i <= count; ++i) {
      const std::string name =
          source_.split == "train" ? fmt::format("data_batch_{}.bin", i) : "test_batch.bin";
      found.push_back(
          find_file(source_.folder, {name},
                    "unpack the binary version of CIFAR-10 there (cifar-10-binary.tar.gz)")
              .string());
    }
    return found;
  }
  std::string describe() const override {
    return fmt::format("cifar10 {}, {}", source_.folder.string(), source_.split);
  }

  std::string place(int64_t index) const override {
    const Part& part = part_of(index);
    return fmt::format("{}, record {}", part.path.string(), index - part.first);
  }

  Sample read(int64_t index) const override {
    const Part& part = part_of(index);
    const std::byte* record = part.bytes->data() + (index - part.first) * kRecord;
    Sample sample;
    sample.label = label(index);
    sample.inputs.emplace_back(DType::UInt8, Shape{3, 32, 32}, std::span(record + 1, kPixels),
                               part.bytes);
    return sample;
  }
  HostTensor label(int64_t index) const override {
    const Part& part = part_of(index);
    const auto value = static_cast<int64_t>((*part.bytes)[static_cast<size_t>((index - part.first) * kRecord)]);
    if (value >= kClasses) {
      throw ResourceError{
          {.what = fmt::format("the label is {}, CIFAR-10 has classes 0 to 9", value),
           .where = place(index),
           .fix = "unpack the file again"}};
    }
    return class_label(value);
  }

 private:
  struct Part {
    std::filesystem::path path;
    int64_t first = 0;  ///< index of its first record
    std::shared_ptr<const std::vector<std::byte>> bytes;
  };

  void load(const std::filesystem::path& path) {
    auto bytes = std::make_shared<const std::vector<std::byte>>(read_file(path));
    const auto size = static_cast<int64_t>(bytes->size());
    if (size == 0 || size % kRecord != 0) {
      throw ResourceError{
          {.what = fmt::format("record {} is cut off: {} bytes are not a multiple of {}",
                               size / kRecord, size, kRecord),
           .where = path.string(),
           .fix = "unpack the binary version of CIFAR-10 again"}};
    }
    parts_.push_back({path, size_, std::move(bytes)});
    size_ += size / kRecord;
  }

  const Part& part_of(int64_t index) const {
    size_t part = parts_.size() - 1;
    while (parts_[part].first > index) --part;
    return parts_[part];
  }

  FolderAndSplit source_;
  std::vector<Part> parts_;
  int64_t size_ = 0;
};

const Register<Dataset, Cifar10> entry{"cifar10",
                                       "CIFAR-10, binary version: a folder of .bin files"};

}  // namespace
}  // namespace sparsify
