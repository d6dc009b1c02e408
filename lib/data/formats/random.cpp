// Samples drawn for the model's inputs: normal floats, integers in [0, vocabulary), fair bools. For
// checks and timings, where values do not matter; there are no labels.
#include <fmt/core.h>

#include <cmath>
#include <map>
#include <numbers>

#include "base/log.h"
#include "base/rng.h"
#include "data/convert.h"
#include "data/dataset.h"
#include "data/source_files.h"

namespace sparsify {
namespace {

class Random final : public Dataset, public FileSource {
 public:
  explicit Random(const Options& options)
      : size_(options.integer("limit", 1024, {.min = 1}, "number of samples")),
        vocabulary_(options.integer("vocabulary", 2, {.min = 1, .max = int64_t{1} << 40},
                                    "integer inputs are drawn from [0, vocabulary)")),
        free_size_(options.integer("free_size", 32, {.min = 1, .max = 1 << 20},
                                   "size of the model's free axes other than the batch")),
        given_(options.section("dimensions", "sizes of free axes by name: {sequence: 128}")) {}

  void bind(const InputSignature& signature, uint64_t seed) override {
    seed_ = seed;
    is_batched_ = !has_common_batch(signature);
    for (const ValueInfo& input : signature) {
      const bool is_tensor =
          input.kind == ValueInfo::Kind::Tensor || input.kind == ValueInfo::Kind::Unknown;
      if (!is_tensor || !input.shape || !is_writable(input.type)) {
        throw ShapeError{
            {.what = fmt::format("values for the model's input \"{}\" ({}) cannot be drawn",
                                 input.name, input.signature()),
             .where = describe(),
             .fix = "use recorded inputs (format onnx), or a model whose inputs are tensors of "
                    "known rank"}};
      }
      Shape shape;
      for (size_t axis = is_batched_ ? 0 : 1; axis < input.shape->size(); ++axis) {
        shape.push_back(
            size_of((*input.shape)[axis], is_batched_ && axis == 0 && input.shape->size() > 1));
      }
      arrays_.push_back({input.name, input.type, shape});
    }
  }

  std::vector<ArrayInfo> arrays() const override { return arrays_; }
  int64_t size() const override { return size_; }
  bool has_labels() const override { return false; }
  bool is_ready() const override { return true; }
  bool is_batched() const override { return is_batched_; }
  std::vector<std::string> files() const override { return {}; }
  std::string describe() const override { return "random"; }
  std::string place(int64_t index) const override {
    return fmt::format("random, record {}", index);
  }

  Sample read(int64_t index) const override {
    Sample sample;
    for (const ArrayInfo& array : arrays_) {
      const Rng rng(Rng(seed_, "random " + array.name).bits_at(0), static_cast<uint64_t>(index));
      HostTensor tensor(array.type, array.shape);
      std::vector<double> values(static_cast<size_t>(tensor.count()));
      const double bound = array.type == DType::Bool
                               ? 2
                               : static_cast<double>(std::min(vocabulary_, largest(array.type)));
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = is_float(array.type) ? normal(rng, i) : std::floor(rng.uniform_at(i) * bound);
      }
      write_numbers(values.data(), tensor.count(), array.type, tensor.mutable_bytes().data(), 1);
      sample.inputs.push_back(std::move(tensor));
    }
    return sample;
  }

 private:
  /// Box-Muller; 1 - u lies in (0, 1].
  static double normal(const Rng& rng, uint64_t index) {
    const double radius =
        std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(rng.uniform_at(2 * index))));
    return radius *
           std::cos(2.0 * std::numbers::pi * static_cast<double>(rng.uniform_at(2 * index + 1)));
  }

  static int64_t largest(DType type) {
    const int bits = bits_of(type);
    return bits == 8 ? 127 : bits == 16 ? 32767 : int64_t{1} << 24;  // what uniform_at resolves
  }

  /// All inputs begin with the same axis; otherwise a record is everything that the model gets at
  /// once.
  static bool has_common_batch(const InputSignature& signature) {
    for (const ValueInfo& input : signature) {
      if (!input.shape || input.shape->empty()) return false;
      const Dimension& first = input.shape->front();
      const Dimension& common = signature.front().shape->front();
      if (first.size != common.size || first.symbol != common.symbol) return false;
    }
    return !signature.empty();
  }

  int64_t size_of(const Dimension& dimension, bool is_first) const {
    if (dimension.size >= 0) return dimension.size;
    const int64_t otherwise = is_first ? 1 : free_size_;
    if (dimension.symbol.empty()) return otherwise;
    return given_.integer(dimension.symbol, otherwise, {.min = 1, .max = 1 << 20});
  }

  int64_t size_;
  int64_t vocabulary_;
  int64_t free_size_;
  Options given_;
  uint64_t seed_ = 0;
  bool is_batched_ = false;
  std::vector<ArrayInfo> arrays_;
};

const Register<Dataset, Random> entry{"random",
                                      "drawn from the model's input signature; no labels"};

}  // namespace
}  // namespace sparsify
