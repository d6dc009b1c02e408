// Our own interpreter as a runtime: any graph that `sparsify ops` supports, on any device that LibTorch has.
#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/version.h>

#include "program/program.h"
#include "runtimes/runtime.h"

namespace sparsify {
namespace {

class LibTorchSession final : public Session {
 public:
  LibTorchSession(const ModelFile& file, const SessionOptions& options)
      : memory_(keep_memory()),
        program_(Program::build(file, {.device = options.device == "auto" ? "cpu" : options.device})),
        run_options_{.bfloat16 = options.bfloat16, .optimise = options.optimise} {
    if (options.threads > 0) at::set_num_threads(options.threads);
  }

  std::vector<HostTensor> run(const std::vector<HostTensor>& inputs) override {
    std::vector<Value> values;
    for (const HostTensor& input : inputs) values.push_back(from_host(input));
    std::vector<HostTensor> outputs;
    for (const Value& output : program_->run(values, run_options_).outputs) outputs.push_back(to_host(output));
    return outputs;
  }

  bool replace_weight(int tensor_id, const HostTensor& data) override {
    program_->replace_stored(tensor_id, from_host(data));
    return true;
  }

 private:
  /// Activations come and go with every batch; giving them back to the system each time costs a third of a small network's
  /// time in page faults.
  static bool keep_memory() {
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
    return true;
  }

  bool memory_;
  std::unique_ptr<Program> program_;
  RunOptions run_options_;
};

class LibTorch final : public Runtime {
 public:
  explicit LibTorch(const Options&) {}

  std::string version() const override { return "LibTorch " TORCH_VERSION; }

  std::unique_ptr<Session> open(const ModelFile& file, const SessionOptions& options) const override {
    return std::make_unique<LibTorchSession>(file, options);
  }
};

const Register<Runtime, LibTorch> entry{"libtorch", "the interpreter that prunes and trains; every supported operator"};

}  // namespace
}  // namespace sparsify
