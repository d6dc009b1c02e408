#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/registry.h"
#include "onnx/model_file.h"
#include "tensor/host_tensor.h"

namespace sparsify {

struct SessionOptions {
  int threads = 0;             ///< 0: the runtime's own choice
  std::string device = "auto"; ///< cpu | cuda | cuda:1
  bool optimise = true;        ///< fusion and layout changes; off for bit-faithful comparison
  bool bfloat16 = false;       ///< products and convolutions of float32 in bfloat16; weights stay float32
};

/// A loaded model that runs.
class Session {
 public:
  virtual ~Session() = default;
  /// Inputs in graph order, outputs in graph order.
  virtual std::vector<HostTensor> run(const std::vector<HostTensor>& inputs) = 0;

  /// Later runs use `data` (same type and shape) for one stored tensor. False where the runtime has compiled it in: then
  /// the edited file must be opened again.
  virtual bool replace_weight(int tensor_id, const HostTensor& data);
};

/// Something that runs an ONNX file: `libtorch` (our own interpreter), `onnxruntime` ...
class Runtime {
 public:
  static constexpr const char* kFamily = "runtime";
  virtual ~Runtime() = default;

  /// `LibTorch 2.13.0`; throws ResourceError (exit 3) when the runtime is not installed, with how to get it.
  virtual std::string version() const = 0;
  /// The file as it was loaded: edits count once they are written.
  virtual std::unique_ptr<Session> open(const ModelFile& file, const SessionOptions& options) const = 0;
};

/// Loads the module or library that holds the runtime if need be.
std::unique_ptr<Runtime> make_runtime(const std::string& name);

}  // namespace sparsify
