// numpy's npz: a zip archive with one npy file an array; axis 0 counts records.
#include <fmt/core.h>

#include <filesystem>

#include "data/archive.h"
#include "data/dataset.h"
#include "data/files.h"
#include "data/npy.h"
#include "data/rows.h"
#include "data/label_source.h"
#include "data/source_files.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

class Npz final : public Dataset, public FileSource, public LabelSource {
 public:
  explicit Npz(const Options& options)
      : split_(options.text("split", "",
                            "arrays x_SPLIT and y_SPLIT of the file, or SPLIT.npz of the folder")),
        label_(options.text(
            "label", "y", "the array of labels: class indices, or float targets; none: no labels")),
        stored_layout_(options.choice(
            "stored_layout", "auto", {"auto", "nchw", "nhwc", "none"},
            "whether samples of rank 3 are images; auto: where 1 or 3 channels show")),
        path_(options.required_text("path", "the .npz file, or a folder with SPLIT.npz")) {
    if (std::error_code ignored; fs::is_directory(path_, ignored)) {
      path_ = file_of_split(options, ".npz");
      split_.clear();
    }
  }

  void bind(const InputSignature& signature, uint64_t) override {
    if (signature.empty()) {
      throw ShapeError{
          {.what = "the model has no inputs", .where = describe(), .fix = "use another model"}};
    }
    const ZipArchive archive(path_);
    for (const ValueInfo& input : signature) {
      arrays_.push_back(array_for(archive, input.name, signature.size() == 1));
      inputs_.push_back(read_rows(archive, arrays_.back()));
      if (inputs_.back().size() != inputs_.front().size()) {
        throw ShapeError{
            {.what = fmt::format("array \"{}\" has {} records, \"{}\" has {}", arrays_.back(),
                                 inputs_.back().size(), arrays_.front(), inputs_.front().size()),
             .where = path_.string(),
             .fix = "store one record of each for every sample"}};
      }
    }
    read_labels(archive);
    choose_layout(signature);
  }

  std::vector<ArrayInfo> arrays() const override {
    std::vector<ArrayInfo> infos;
    for (size_t i = 0; i < inputs_.size(); ++i)
      infos.push_back({arrays_[i], inputs_[i].type(), inputs_[i].row_shape()});
    return infos;
  }
  int64_t size() const override { return inputs_.front().size(); }
  bool has_labels() const override { return labels_.has_value(); }
  std::optional<ImageLayout> image_layout() const override { return layout_; }
  std::vector<std::string> files() const override { return {path_.string()}; }
  std::string describe() const override {
    return "npz " + path_.string() + (split_.empty() ? "" : ", " + split_);
  }
  std::string place(int64_t index) const override {
    return fmt::format("{}, record {}", path_.string(), index);
  }

  Sample read(int64_t index) const override {
    Sample sample;
    for (const Rows& rows : inputs_) sample.inputs.push_back(rows.at(index));
    if (labels_) sample.label = label(index);
    return sample;
  }
  HostTensor label(int64_t index) const override { return labels_->at(index); }

 private:
  static HostTensor read_array(const ZipArchive& archive, const std::string& name) {
    return read_npy(archive.read(name + ".npy"),
                    fmt::format("{}, array \"{}\"", archive.path(), name));
  }

  static std::string names_in(const ZipArchive& archive) {
    std::vector<std::string> names;
    for (const std::string& entry : archive.names()) {
      if (entry.ends_with(".npy")) names.push_back(entry.substr(0, entry.size() - 4));
    }
    return join(names);
  }

  std::string array_for(const ZipArchive& archive, const std::string& input, bool is_only) const {
    std::vector<std::string> candidates = {input};
    if (is_only && input != "x") candidates.push_back("x");
    if (!split_.empty()) {
      for (std::string& name : candidates) name += "_" + split_;
    }
    for (const std::string& name : candidates) {
      if (archive.contains(name + ".npy")) return name;
    }
    throw ResourceError{
        {.what = fmt::format("there is no array {} for the model's input \"{}\", only {}",
                             join(candidates, " or "), input, names_in(archive)),
         .where = path_.string(),
         .fix = "name the arrays as the model's inputs"}};
  }

  Rows read_rows(const ZipArchive& archive, const std::string& name) const {
    HostTensor array = read_array(archive, name);
    if (array.shape().empty() || array.shape()[0] == 0) {
      throw ShapeError{{.what = fmt::format("array \"{}\" has shape {}: no records", name,
                                            to_text(array.shape())),
                        .where = path_.string(),
                        .fix = "store samples along axis 0"}};
    }
    return Rows(std::move(array));
  }

  void read_labels(const ZipArchive& archive) {
    if (label_ == "none") return;
    const std::string name = split_.empty() ? label_ : label_ + "_" + split_;
    if (!archive.contains(name + ".npy")) {
      if (label_ == "y") return;
      throw ResourceError{
          {.what = fmt::format("there is no array {}, only {}", name, names_in(archive)),
           .where = path_.string(),
           .fix = "set label to the array with the labels, or to none"}};
    }
    const HostTensor array = read_array(archive, name);
    Shape shape = array.shape();
    if (shape.empty() || shape[0] != size()) {
      throw ShapeError{{.what = fmt::format("labels \"{}\" have shape {}, there are {} samples",
                                            name, to_text(shape), size()),
                        .where = path_.string(),
                        .fix = "store one label for each sample"}};
    }
    const bool is_float = is_prunable_float(array.type());
    if (shape.size() == 2 && shape[1] == 1 && !is_float)
      shape.pop_back();  // as Keras stores class indices
    labels_ = Rows(is_float ? HostTensor::of<float>(DType::Float32, shape, array.to_floats())
                            : HostTensor::of<int64_t>(DType::Int64, shape, array.to_integers()));
  }

  /// Samples of rank 3 for an input of rank 4 are images where an axis counts 1 or 3 channels, best
  /// the model's.
  void choose_layout(const InputSignature& signature) {
    const Shape& shape = inputs_.front().row_shape();
    if (stored_layout_ == "none" || shape.size() != 3) return;
    if (stored_layout_ != "auto") {
      layout_ = stored_layout_ == "nhwc" ? ImageLayout::Hwc : ImageLayout::Chw;
      return;
    }
    const auto& wanted = signature.front().shape;
    if (signature.size() != 1 || !wanted || wanted->size() != 4) return;
    const auto is_channels = [](int64_t size) { return size == 1 || size == 3; };
    const int64_t model = is_channels((*wanted)[1].size) ? (*wanted)[1].size : (*wanted)[3].size;
    if (is_channels(model) && (shape[0] == model || shape[2] == model)) {
      layout_ = shape[0] == model ? ImageLayout::Chw : ImageLayout::Hwc;
    } else if (is_channels(shape[0]) || is_channels(shape[2])) {
      layout_ = is_channels(shape[0]) ? ImageLayout::Chw : ImageLayout::Hwc;
    }
  }

  std::string split_;
  std::string label_;
  std::string stored_layout_;
  fs::path path_;
  std::vector<std::string> arrays_;
  std::vector<Rows> inputs_;
  std::optional<Rows> labels_;
  std::optional<ImageLayout> layout_;
};

const Register<Dataset, Npz> entry{
    "npz", "numpy archive: arrays named as the model's inputs, or x; labels y"};

}  // namespace
}  // namespace sparsify
