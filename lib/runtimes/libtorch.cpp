// Our own interpreter as a runtime: any graph that `sparsify ops` supports, on any device that LibTorch has.
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <fmt/core.h>
#include <malloc.h>
#include <torch/version.h>

#include <new>

#include "base/error.h"
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
    for (const ValueInfo& output : file.model().graph.outputs) output_names_.push_back(output.name);
  }

  std::vector<HostTensor> run(const std::vector<HostTensor>& inputs) override {
    std::vector<Value> values;
    for (const HostTensor& input : inputs) values.push_back(from_host(input));
    std::vector<HostTensor> outputs;
    const RunResult result = program_->run(values, run_options_);
    for (size_t i = 0; i < result.outputs.size(); ++i) outputs.push_back(copied(result.outputs[i], output_names_[i]));
    return outputs;
  }

  bool replace_weight(int tensor_id, const HostTensor& data) override {
    program_->replace_stored(tensor_id, from_host(data));
    return true;
  }

 private:
  /// A view (of an Expand) takes its memory only here.
  static HostTensor copied(const Value& output, const std::string& name) {
    const auto ran_out = [&] {
      return ExhaustedError{{.what = fmt::format("memory ran out for output \"{}\": {}", name, output.describe()),
                             .where = "the model's outputs",
                             .fix = "use a smaller batch_size, or cut the output off"}};
    };
    try {
      return to_host(output);
    } catch (const std::bad_alloc&) {
      throw ran_out();
    } catch (const c10::Error&) {
      throw ran_out();
    }
  }

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
  std::vector<std::string> output_names_;
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
