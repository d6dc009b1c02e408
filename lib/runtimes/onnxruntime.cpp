// ONNX Runtime, where a Python on this machine has it: that Python runs beside us and does the work, so that neither its headers
// nor a particular version are needed, and a crash in it is only its own.
#include <fmt/core.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "base/child_process.h"
#include "base/error.h"
#include "onnx/file_on_disk.h"
#include "runtimes/onnxruntime_worker.h"
#include "runtimes/runtime.h"

namespace sparsify {
namespace {

constexpr std::chrono::seconds kStart{60};  // importing the module from a slow disk
constexpr std::chrono::seconds kLimit{600};  // one request

/// The Python that has ONNX Runtime, started and asked for its version.
class Worker {
 public:
  Worker() : process_({interpreter(), "-c", kOnnxRuntimeWorker}) {
    char kind = 0;
    receive(&kind, 1, kStart);
    const std::string said = text();
    if (kind != 'R') {
      throw ResourceError{{.what = fmt::format("ONNX Runtime is not installed for \"{}\": {}", interpreter(), said),
                           .where = "onnxruntime",
                           .fix = "pip install onnxruntime, or set SPARSIFY_PYTHON to a Python that has it"}};
    }
    version = said;
  }

  uint32_t load(const std::string& path, const SessionOptions& options) {
    std::string request = "L";
    append(request, static_cast<uint64_t>(path.size()));
    request += path;
    append(request, static_cast<int32_t>(options.threads));
    append(request, static_cast<uint8_t>(options.optimise ? 1 : 0));
    ask(request, "loading");
    const auto session = value<uint32_t>();
    in_step_ = true;
    return session;
  }

  void close(uint32_t session) {
    if (!in_step_) return;
    std::string request = "C";
    append(request, session);
    ask(request, "closing");
    in_step_ = true;
  }

  std::vector<HostTensor> run(uint32_t session, const std::vector<HostTensor>& inputs) {
    in_step_ = false;
    std::string head = "R";
    append(head, session);
    append(head, static_cast<uint32_t>(inputs.size()));
    send(head);
    for (const HostTensor& input : inputs) send_tensor(input);
    ask("", "running");
    std::vector<HostTensor> outputs(value<uint32_t>());
    for (HostTensor& output : outputs) output = tensor();
    in_step_ = true;
    return outputs;
  }

  std::string version;

 private:
  static std::string interpreter() {
    const char* chosen = std::getenv("SPARSIFY_PYTHON");
    if (chosen != nullptr && *chosen == '\0') {
      throw ResourceError{{.what = "ONNX Runtime is switched off (SPARSIFY_PYTHON is empty)", .where = "onnxruntime", .fix = "unset SPARSIFY_PYTHON"}};
    }
    return chosen == nullptr ? "python3" : chosen;
  }

  template <class T>
  static void append(std::string& bytes, T number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  void send(std::string_view bytes) { process_.write(std::as_bytes(std::span(bytes.data(), bytes.size())), kLimit); }
  void receive(void* to, size_t size, std::chrono::seconds limit = kLimit) { process_.read({static_cast<std::byte*>(to), size}, limit); }

  template <class T>
  T value() {
    T number{};
    receive(&number, sizeof number);
    return number;
  }

  std::string text() {
    std::string words(value<uint64_t>(), '\0');
    receive(words.data(), words.size());
    return words;
  }

  void ask(const std::string& request, const char* doing) {
    in_step_ = false;
    send(request);
    if (value<char>() == 'O') return;
    std::string said = text();
    in_step_ = true;
    if (said.size() > 300) said = said.substr(0, 300) + " ...";
    throw ResourceError{{.what = fmt::format("ONNX Runtime {}: {}", version, said), .where = doing, .fix = "use --runtime libtorch, or another version of ONNX Runtime"}};
  }

  void send_tensor(const HostTensor& tensor) {
    std::string head;
    append(head, static_cast<int32_t>(tensor.type()));
    append(head, static_cast<uint32_t>(tensor.shape().size()));
    for (const int64_t size : tensor.shape()) append(head, size);
    std::string words;
    for (const std::string& word : tensor.strings()) {
      append(words, static_cast<uint64_t>(word.size()));
      words += word;
    }
    append(head, static_cast<uint64_t>(tensor.bytes().size() + words.size()));
    send(head);
    send(words);
    process_.write(tensor.bytes(), kLimit);
  }

  HostTensor tensor() {
    const auto type = static_cast<DType>(value<int32_t>());
    Shape shape(value<uint32_t>());
    for (int64_t& size : shape) size = value<int64_t>();
    if (type == DType::String) {
      value<uint64_t>();
      std::vector<std::string> words(static_cast<size_t>(element_count(shape)));
      for (std::string& word : words) word = text();
      return HostTensor::of_strings(std::move(shape), std::move(words));
    }
    HostTensor made(type, std::move(shape));
    invariant(value<uint64_t>() == made.bytes().size(), "the worker states as many bytes as the shape has");
    if (!made.bytes().empty()) receive(made.mutable_bytes().data(), made.bytes().size());
    return made;
  }

  ChildProcess process_;
  bool in_step_ = true;  ///< no request was broken off, so the next answer is the next request's
};

class OnnxRuntimeSession final : public Session {
 public:
  OnnxRuntimeSession(std::shared_ptr<Worker> worker, const ModelFile& file, const SessionOptions& options)
      : worker_(std::move(worker)), file_(file), session_(worker_->load(file_.path(), options)) {}

  ~OnnxRuntimeSession() override {
    try {
      worker_->close(session_);
    } catch (const Error&) {  // it has ended: nothing to close
    }
  }

  std::vector<HostTensor> run(const std::vector<HostTensor>& inputs) override { return worker_->run(session_, inputs); }

 private:
  std::shared_ptr<Worker> worker_;
  FileOnDisk file_;  ///< mapped by ONNX Runtime as long as the session lives
  uint32_t session_;
};

class OnnxRuntime final : public Runtime {
 public:
  explicit OnnxRuntime(const Options&) {}

  std::string version() const override { return "ONNX Runtime " + worker()->version; }

  std::unique_ptr<Session> open(const ModelFile& file, const SessionOptions& options) const override {
    if (options.bfloat16 || options.device.starts_with("cuda")) {
      throw ConfigError{{.what = fmt::format("ONNX Runtime is asked for {}", options.bfloat16 ? "bfloat16 arithmetic" : options.device),
                         .where = "onnxruntime",
                         .fix = "use --runtime libtorch; ONNX Runtime works on the CPU with the types of the model here"}};
    }
    return std::make_unique<OnnxRuntimeSession>(worker(), file, options);
  }

 private:
  /// One for all sessions of this runtime, started when it is first needed.
  std::shared_ptr<Worker> worker() const {
    if (!worker_) worker_ = std::make_shared<Worker>();
    return worker_;
  }

  mutable std::shared_ptr<Worker> worker_;
};

const Register<Runtime, OnnxRuntime> entry{"onnxruntime", "ONNX Runtime on the CPU, through a Python that has it (SPARSIFY_PYTHON, else python3)"};

}  // namespace
}  // namespace sparsify
