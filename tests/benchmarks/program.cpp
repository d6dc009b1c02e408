// One network in the interpreter: seconds of a forward pass or of a training step (forward, backward, SGD), peak memory,
// and what a node costs beyond its LibTorch call. tests/benchmarks/run_program runs it in turn with its peers.
//
//   bench_program MODEL --batch N [--mode forward|train] [--rounds N] [--threads N] [--plain] [--precision bf16]
//   bench_program --overhead
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "onnx/model_file.h"
#include "program/memory.h"
#include "program/model_text.h"
#include "program/program.h"

namespace sparsify {
namespace {

double peak_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Times {
  std::vector<double> wall;
  std::vector<double> cpu;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Times timed(int rounds, const std::function<void()>& action) {
  Times times;
  for (int i = 0; i < 2; ++i) action();  // the first finds out what is constant, the second warms up
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    action();
    times.cpu.push_back(cpu_seconds() - cpu);
    times.wall.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return times;
}

/// Microseconds that one Add on one number takes in a chain of 500, and as a bare LibTorch call.
nlohmann::json overhead() {
  constexpr int kNodes = 500;
  std::string nodes;
  for (int i = 0; i < kNodes; ++i) nodes += fmt::format("v{} = Add ({}, w)\n", i, i == 0 ? "x" : fmt::format("v{}", i - 1));
  const TextModel text(fmt::format(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[1] x) => (float[1] v{}) <float[1] w = {{1}}> {{ {} }})", kNodes - 1, nodes));
  const ModelFile file = text.load();
  const auto program = Program::build(file);
  const at::Tensor x = at::tensor({1.0F});
  const at::Tensor w = at::tensor({1.0F});
  const double chain = median(timed(50, [&] { program->run({x}); }).wall);
  const double plain = median(timed(50, [&] { program->run({x}, {.optimise = false}); }).wall);
  const double bare = median(timed(50, [&] {
                               const c10::InferenceMode inference;
                               at::Tensor value = x;
                               for (int i = 0; i < kNodes; ++i) value = at::add(value, w);
                             }).wall);
  const double us = 1e6 / kNodes;
  return {{"node_us", chain * us}, {"plain_node_us", plain * us}, {"libtorch_us", bare * us}};
}

struct Settings {
  std::string model;
  std::string mode = "forward";
  int64_t batch = 1;
  int rounds = 5;
  bool optimise = true;
  bool bfloat16 = false;
};

nlohmann::json measure(const Settings& settings) {
  pool_tensor_memory();
  // As for the peers, what is loaded for a first operator (LibTorch's tables, ONNX's schemas) is no memory of the network.
  at::add(at::randn({1}), at::randn({1})).sum();
  const TextModel text(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[1] x) => (float[1] y) { y = Add (x, x) })");
  Program::build(text.load())->run({at::randn({1})});
  const double before = peak_mib();
  const ModelFile file = ModelFile::load(settings.model);
  const auto program = Program::build(file);
  std::vector<int64_t> shape;
  for (const Dimension& dimension : *program->inputs().front().shape) shape.push_back(dimension.size < 0 ? settings.batch : dimension.size);
  const at::Tensor input = at::randn(shape);
  Times times;
  if (settings.mode == "forward") {
    times = timed(settings.rounds, [&] { program->run({input}, {.bfloat16 = settings.bfloat16, .optimise = settings.optimise}); });
  } else {
    std::vector<at::Tensor> weights;
    for (Parameter& parameter : program->parameters()) {
      if (!parameter.is_statistic && parameter.tensor.dim() > 0) weights.push_back(parameter.tensor.requires_grad_(true));
    }
    const at::Tensor labels = at::randint(10, {settings.batch}, at::TensorOptions(at::kLong));
    times = timed(settings.rounds, [&] {
      const RunResult result = program->run({input}, {.training = true, .gradients = true, .bfloat16 = settings.bfloat16, .optimise = settings.optimise});
      at::cross_entropy_loss(result.outputs.front().tensor(), labels).backward();
      const at::NoGradGuard not_recorded;
      for (at::Tensor& weight : weights) {
        if (!weight.grad().defined()) continue;
        weight.sub_(weight.grad(), 1e-4);
        weight.mutable_grad() = at::Tensor();
      }
    });
  }
  return {{"wall_s", median(times.wall)}, {"cpu_s", median(times.cpu)}, {"memory_mib", peak_mib() - before},
          {"nodes", file.model().graph.nodes.size()}};
}

int run(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--overhead") {
      at::set_num_threads(1);
      fmt::print("{}\n", overhead().dump());
      return 0;
    }
    if (argument == "--plain") settings.optimise = false;
    else if (argument == "--precision" && has_value) settings.bfloat16 = std::string(argv[++i]) == "bf16";
    else if (argument == "--mode" && has_value) settings.mode = argv[++i];
    else if (argument == "--batch" && has_value) settings.batch = std::atoll(argv[++i]);
    else if (argument == "--rounds" && has_value) settings.rounds = std::atoi(argv[++i]);
    else if (argument == "--threads" && has_value) at::set_num_threads(std::atoi(argv[++i]));
    else settings.model = argument;
  }
  if (settings.model.empty()) {
    fmt::print(stderr, "usage: bench_program MODEL --batch N [--mode forward|train] [--rounds N] [--threads N] [--plain] [--precision bf16]\n"
                       "       bench_program --overhead\n");
    return 2;
  }
  fmt::print("{}\n", measure(settings).dump());
  return 0;
}

}  // namespace
}  // namespace sparsify

int main(int argc, char** argv) { return sparsify::run(argc, argv); }
