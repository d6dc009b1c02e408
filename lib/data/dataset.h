#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "onnx/graph.h"
#include "tensor/host_tensor.h"

namespace sparsify {

/// What the model wants, in graph order; initializers are not inputs.
using InputSignature = std::vector<ValueInfo>;

/// One sample without its batch axis, or one whole batch where the source is batched (`batched()`).
struct Sample {
  std::vector<HostTensor> inputs;   ///< in the order of the signature
  std::optional<HostTensor> label;  ///< int64 class index (scalar or per position), or a float target
  /// Recorded outputs of the graph (`onnx` format), in graph order; otherwise empty.
  std::vector<HostTensor> outputs;
};

/// A source of samples: one plugin a format. Thread-safe: read() is called from the prefetch threads.
class Dataset {
 public:
  static constexpr const char* kFamily = "data format";
  virtual ~Dataset() = default;

  /// Checks the source against the model's inputs, before anything is read.
  /// throws ShapeError or ResourceError naming the file, the array and both shapes
  virtual void bind(const InputSignature& signature) = 0;

  virtual int64_t size() const = 0;
  /// throws ResourceError naming file and record index for a bad record
  virtual Sample read(int64_t index) const = 0;

  /// True where one record is a whole batch.
  virtual bool batched() const { return false; }
  virtual bool has_labels() const = 0;
  /// True where samples are images whose channels and normalisation the transform handles.
  virtual bool is_image() const { return false; }
  /// `cifar10 data/cifar10 (test, 10000 samples)`
  virtual std::string describe() const = 0;
};

}  // namespace sparsify
