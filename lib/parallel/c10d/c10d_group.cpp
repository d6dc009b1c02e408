// The module `c10d`: loaded when the program was started by torchrun, or by whatever else sets its variables. LibTorch's own process group over Gloo.
#include <ATen/ops/from_blob.h>
#include <fmt/core.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>

#include "base/error.h"
#include "base/module.h"
#include "parallel/process_group.h"

namespace sparsify {
namespace {

/// The others wait for the first process while it measures and writes.
constexpr std::chrono::hours kLongestWait{24 * 7};
/// Until all processes of a run are there.
constexpr std::chrono::minutes kLongestStart{5};

std::string variable(const char* name, const char* otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : text;
}

template <class Action>
auto guarded(const char* what, Action action) {
  try {
    return action();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw ResourceError{{.what = fmt::format("the processes cannot {}: {}", what, text.substr(0, text.find('\n'))),
                         .where = fmt::format("c10d, MASTER_ADDR={} MASTER_PORT={}", variable("MASTER_ADDR", ""), variable("MASTER_PORT", "29500")),
                         .fix = "see what the other processes say, and that all of them reach the first one's address and port"}};
  }
}

class C10dGroup final : public ProcessGroup {
 public:
  C10dGroup() : rank_(std::stoi(variable("RANK", "0"))), size_(std::stoi(variable("WORLD_SIZE", "1"))) {
    guarded("find each other", [this] {
      c10d::TCPStoreOptions options;
      options.port = static_cast<uint16_t>(std::stoi(variable("MASTER_PORT", "29500")));
      options.isServer = rank_ == 0 && variable("TORCHELASTIC_USE_AGENT_STORE", "") != "True";  // else torchrun keeps the store
      options.numWorkers = static_cast<size_t>(size_);
      options.timeout = kLongestStart;
      const auto store = c10::make_intrusive<c10d::TCPStore>(variable("MASTER_ADDR", "127.0.0.1"), options);
      const std::string run = "/sparsify/attempt_" + variable("TORCHELASTIC_RESTART_COUNT", "0");  // keys of an earlier attempt stay in the store
      const auto settings = c10d::ProcessGroupGloo::Options::create(kLongestStart);
      settings->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
      group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>(run, store), rank_, size_, settings);
      group_->setTimeout(kLongestWait);
    });
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum_(std::span<float> values) override { sum(values, at::kFloat); }
  void sum_(std::span<double> values) override { sum(values, at::kDouble); }

  void broadcast_(std::string& bytes) override {
    auto size = static_cast<int64_t>(bytes.size());
    send(at::from_blob(&size, {1}, at::kLong));
    bytes.resize(static_cast<size_t>(size));
    if (size > 0) send(at::from_blob(bytes.data(), {size}, at::kByte));
  }

 private:
  template <class T>
  void sum(std::span<T> values, at::ScalarType type) {
    if (values.empty()) return;
    guarded("add up their gradients", [&] {
      std::vector<at::Tensor> tensors{at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, type)};
      group_->allreduce(tensors)->wait();
    });
  }

  void send(const at::Tensor& tensor) {
    guarded("talk to each other", [&] {
      std::vector<at::Tensor> tensors{tensor};
      group_->broadcast(tensors)->wait();
    });
  }

  void finish() override {
    guarded("part", [this] { group_->barrier()->wait(); });  // the first one's store must outlive what the others ask of it
    group_.reset();
  }
  /// The others' next sum fails when this process is gone, and torchrun ends them.
  void end_all(int exit_code) override { std::_Exit(exit_code); }

  int rank_;
  int size_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

[[maybe_unused]] const bool registered =
    register_module("c10d") && register_process_group([]() -> ProcessGroup* { return new C10dGroup; });  // lives until leave_processes()

}  // namespace
}  // namespace sparsify
