#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "tensor/host_tensor.h"
#include "tensor/value_info.h"

namespace sparsify {

/// What the model wants, in graph order; initializers are not inputs.
using InputSignature = std::vector<ValueInfo>;

/// One record as it is stored: without a batch axis, or one whole batch where the source is
/// batched.
struct Sample {
  std::vector<HostTensor> inputs;  ///< in the order of the signature
  std::optional<HostTensor>
      label;  ///< int64 class index (scalar or per position), or a float32 target
  /// Recorded outputs of the graph (`onnx` format), in graph order; otherwise empty.
  std::vector<HostTensor> outputs;
};

/// Order of an image's axes.
enum class ImageLayout { Chw, Hwc };

/// One array of a source before any transform.
struct ArrayInfo {
  std::string name;  ///< how the source calls it: `images`
  DType type = DType::Undefined;
  Shape shape;  ///< of one sample; -1 where it varies from record to record
};

/// A source of samples: one plugin a format. It reads; scaling, resizing and conversion to the
/// model's types belong to InputTransform. Thread-safe: read() is called from the prefetch threads.
class Dataset {
 public:
  static constexpr const char* kFamily = "data format";
  virtual ~Dataset() = default;

  /// Opens the source and finds the arrays that feed the model's inputs; called once, before
  /// everything below.
  ///
  ///   seed    the run's, for sources that draw their samples
  ///   throws  ShapeError or ResourceError naming the file and the array
  virtual void bind(const InputSignature& signature, uint64_t seed) = 0;

  /// One for each input of the signature. May be empty if is_ready().
  virtual std::vector<ArrayInfo> arrays() const = 0;
  virtual int64_t size() const = 0;
  /// throws ResourceError naming file and record index for a bad record
  virtual Sample read(int64_t index) const = 0;
  virtual bool has_labels() const = 0;

  /// Set where inputs[0] is an image: resizing, cropping and augmentation apply, and mean is per
  /// channel.
  virtual std::optional<ImageLayout> image_layout() const { return std::nullopt; }
  /// Records are the model's inputs already, in its types and shapes: no transform applies.
  virtual bool is_ready() const { return false; }
  /// One record is a whole batch. Implies is_ready().
  virtual bool is_batched() const { return false; }

  /// `cifar10 data/cifar10, test`
  virtual std::string describe() const = 0;
  /// Where a record is, for messages: `data/cifar10/test_batch.bin, record 17`.
  virtual std::string place(int64_t index) const = 0;
};

}  // namespace sparsify
