// Recorded runs as the ONNX project stores them beside a model: test_data_set_N/input_I.pb and
// output_I.pb. Each set is a whole batch.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "data/dataset.h"
#include "data/source_files.h"
#include "tensor/tensor_proto.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "test_data_set_";

class OnnxTestData final : public Dataset, public FileSource {
 public:
  explicit OnnxTestData(const Options& options)
      : path_(options.required_text("path",
                                    "folder with test_data_set_0 and so on, or one of them")) {}

  void bind(const InputSignature& signature, uint64_t) override {
    signature_ = signature;
    sets_ = find_sets();
    read(0);  // a set that does not fit the model is found at once
  }

  std::vector<ArrayInfo> arrays() const override { return {}; }
  int64_t size() const override { return static_cast<int64_t>(sets_.size()); }
  bool has_labels() const override { return false; }
  bool is_ready() const override { return true; }
  bool is_batched() const override { return true; }
  std::vector<std::string> files() const override {
    std::vector<std::string> found;
    for (const fs::path& set : find_sets()) {
      std::vector<std::string> values;
      for (const fs::directory_entry& entry : fs::directory_iterator(set)) {
        if (entry.is_regular_file() && entry.path().extension() == ".pb")
          values.push_back(entry.path().string());
      }
      std::ranges::sort(values);
      found.insert(found.end(), values.begin(), values.end());
    }
    return found;
  }
  std::string describe() const override { return "onnx " + path_.string(); }
  std::string place(int64_t index) const override { return sets_[index].string(); }

  Sample read(int64_t index) const override {
    std::vector<ProtoValue> values = read_all(index, "input");
    if (values.size() != signature_.size()) {
      throw ShapeError{{.what = fmt::format("the set has {} inputs, the model has {}",
                                            values.size(), signature_.size()),
                        .where = place(index),
                        .fix = "use the sets that belong to the model"}};
    }
    // Position decides, unless all values carry names of the model's inputs.
    const auto find = [&](const std::string& name) {
      return std::ranges::find(values, name, &ProtoValue::name);
    };
    const bool are_named = std::ranges::all_of(
        signature_, [&](const ValueInfo& input) { return find(input.name) != values.end(); });
    Sample sample;
    for (size_t i = 0; i < signature_.size(); ++i) {
      const HostTensor& tensor = (are_named ? *find(signature_[i].name) : values[i]).tensor;
      check(tensor, signature_[i], index);
      sample.inputs.push_back(tensor);
    }
    for (ProtoValue& value : read_all(index, "output"))
      sample.outputs.push_back(std::move(value.tensor));
    return sample;
  }

 private:
  std::vector<fs::path> find_sets() const {
    std::vector<fs::path> sets;
    std::error_code ignored;
    if (fs::is_regular_file(path_ / "input_0.pb", ignored) ||
        fs::is_regular_file(path_ / "output_0.pb", ignored)) {
      sets.push_back(path_);
    } else if (fs::is_directory(path_, ignored)) {
      for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
        if (entry.is_directory() && entry.path().filename().string().starts_with(kPrefix))
          sets.push_back(entry.path());
      }
    }
    if (sets.empty()) {
      throw ResourceError{
          {.what = "looked for test_data_set_* folders, and for input_0.pb and output_0.pb",
           .where = path_.string(),
           .fix = "name the folder that holds them"}};
    }
    // test_data_set_2 comes before test_data_set_10.
    std::ranges::sort(sets, {}, [](const fs::path& set) {
      const std::string name = set.filename().string();
      return std::pair(name.size(), name);
    });
    return sets;
  }

  std::vector<ProtoValue> read_all(int64_t index, const char* kind) const {
    std::vector<ProtoValue> values;
    std::error_code ignored;
    while (true) {
      const fs::path path = sets_[index] / fmt::format("{}_{}.pb", kind, values.size());
      if (!fs::is_regular_file(path, ignored)) return values;
      values.push_back(read_proto_file(path.string(), ProtoKind::Tensor));
    }
  }

  void check(const HostTensor& tensor, const ValueInfo& input, int64_t index) const {
    const bool is_tensor =
        input.kind == ValueInfo::Kind::Tensor || input.kind == ValueInfo::Kind::Unknown;
    bool fits = is_tensor && (input.type == DType::Undefined || input.type == tensor.type());
    if (input.shape) {
      fits = fits && std::equal(tensor.shape().begin(), tensor.shape().end(), input.shape->begin(),
                                input.shape->end(), [](int64_t size, const Dimension& wanted) {
                                  return wanted.size < 0 || size == wanted.size;
                                });
    }
    if (fits) return;
    throw ShapeError{
        {.what = fmt::format("the recorded input is {}{}, the model's input \"{}\" takes {}",
                             name_of(tensor.type()), to_text(tensor.shape()), input.name,
                             input.signature()),
         .where = place(index),
         .fix = "use the sets that belong to the model"}};
  }

  fs::path path_;
  InputSignature signature_;
  std::vector<fs::path> sets_;
};

const Register<Dataset, OnnxTestData> entry{
    "onnx", "recorded inputs and outputs: test_data_set_* folders, a batch each"};

}  // namespace
}  // namespace sparsify
