// The interpreter on another device than the CPU. Where no GPU is at hand, LibTorch's `meta` device stands in for one: it
// computes shapes only and refuses, as CUDA does, to mix its tensors with those of the CPU or to hand out their numbers.
// A tensor that an operator makes in the wrong place is found that way.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>
#include <regex>

#include "base/error.h"
#include "program/gradient_cases.h"
#include "program/model_text.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

/// What LibTorch says when `meta` has no kernel for one of its own operators, or when numbers are asked of it (which rows,
/// how many pixels): that tells nothing about ours. A tensor in the wrong place has other words.
bool is_beyond_meta(const std::string& problem) {
  const auto says = [&problem](const char* words) { return problem.find(words) != std::string::npos; };
  return says("no fake impl") || says("convolution_overrideable not implemented") || says("meta tensor");
}

std::vector<std::string> devices() {
  std::vector<std::string> all{"cpu", "meta"};
  if (at::hasCUDA()) all.emplace_back("cuda");
  return all;
}

/// The same graph in float32, which every device computes with.
std::string model_of(const GradientCase& one) {
  const std::string outputs = std::regex_search(one.body, std::regex(R"(\bz\b)")) ? "y, z" : "y";
  const std::string constants = one.constants.empty() ? "" : "<" + one.constants + ">";
  return fmt::format(R"(<ir_version: 10, opset_import: ["": {}, "ai.onnx.ml": 3, "com.microsoft": 1, "ai.onnx.preview": 1,
      "ai.onnx.preview.training": 1]>
    graph ({}) => ({}) {} {{ {} }})", one.opset, one.inputs, outputs, constants, one.body);
}

std::vector<Value> inputs_of(const Program& program) {
  std::vector<Value> inputs;
  for (const ValueInfo& input : program.inputs()) {
    std::vector<int64_t> shape;
    for (const Dimension& dimension : *input.shape) shape.push_back(dimension.size);
    inputs.emplace_back(at::ones(shape, at::TensorOptions(carrier_of(input.type))) * 0.5);
  }
  return inputs;
}

/// "" when the graph runs there and leaves its floating-point outputs there, in the shapes that the CPU gives.
std::string check(const GradientCase& one, const std::string& device) {
  const TextModel text(model_of(one));
  const ModelFile file = text.load();
  const auto reference = Program::build(file);
  const auto program = Program::build(file, {.device = device});
  const RunOptions options{.training = one.training, .gradients = true, .seed = 5};
  const RunResult expected = reference->run(inputs_of(*reference), options);
  for (int pass = 0; pass < 2; ++pass) {  // the second runs what the first found out
    const RunResult result = program->run(inputs_of(*program), options);
    for (size_t i = 0; i < expected.outputs.size(); ++i) {
      if (!expected.outputs[i].is_tensor()) continue;
      const std::string shape = result.outputs[i].describe();
      if (shape != expected.outputs[i].describe()) return fmt::format("{} instead of {}", shape, expected.outputs[i].describe());
      const at::Tensor& tensor = result.outputs[i].tensor();
      if (tensor.is_floating_point() && tensor.device() != program->device()) return fmt::format("an output lies on {}", tensor.device().str());
    }
  }
  return "";
}

/// `least`: so many cases run on each device.
void check_all(const std::vector<GradientCase>& cases, size_t least) {
  for (const std::string& device : devices()) {
    size_t ran = 0;
    for (const GradientCase& one : cases) {
      std::string problem;
      try {
        problem = check(one, device);
      } catch (const std::exception& e) {
        problem = e.what();
      }
      if (device == "meta" && is_beyond_meta(problem)) continue;
      ++ran;
      INFO(device << ": " << one.op << " (" << one.inputs << "): " << one.body << "\n  " << problem);
      CHECK(problem.empty());
    }
    INFO(device << " ran " << ran << " of " << cases.size());
    CHECK(ran >= least);
  }
}

}  // namespace

TEST_CASE("elementwise operators run on whatever device holds their inputs", "[program][device]") { check_all(elementwise_gradient_cases(), 60); }

TEST_CASE("operators that move and reduce run on whatever device holds their inputs", "[program][device]") { check_all(movement_gradient_cases(), 40); }

TEST_CASE("layers run on whatever device holds their inputs", "[program][device]") { check_all(layer_gradient_cases(), 15); }

TEST_CASE("quantised operators and those of other domains run on whatever device holds their inputs", "[program][device]") {
  check_all(foreign_gradient_cases(), 20);
}

TEST_CASE("a device that is not there is refused with what to do", "[program][device][errors]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[1] x) => (float[1] y) { y = Relu (x) })");
  const ModelFile file = model.load();
  for (const std::string device : {"cuda:99", "cudaa", "gpu"}) {
    try {
      Program::build(file, {.device = device});
      FAIL(device << " was accepted");
    } catch (const ResourceError& e) {
      CHECK(e.exit_code() == 3);
      CHECK_THAT(e.problem().what, Catch::Contains(device));
      CHECK_THAT(e.problem().fix, Catch::Contains("cpu"));
    }
  }
}
