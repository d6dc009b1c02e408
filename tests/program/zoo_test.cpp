#include <ATen/TensorOperators.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "onnx/model_file.h"
#include "program/cases.h"
#include "program/gradient_cuts.h"
#include "program/plan.h"
#include "program/program.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

/// Bounds of networks with fewer bits than float32, by name; the others keep the tight one.
std::map<std::string, double> reduced_precision(const std::filesystem::path& manifest) {
  std::ifstream in(manifest);
  std::map<std::string, double> bounds;
  const nlohmann::json zoo = nlohmann::json::parse(in);
  for (const auto& entry : zoo.at("models")) {
    const double bound = entry.at("rel_tolerance").get<double>();
    if (bound >= 0.01) bounds.emplace(entry.at("name").get<std::string>(), bound);
  }
  return bounds;
}

void check_all(const std::filesystem::path& root, const std::map<std::string, double>& bounds, size_t expected) {
  const std::vector<RecordedCase> cases = find_cases(root);
  CHECK(cases.size() == expected);
  double worst = 0;
  for (const RecordedCase& recorded : cases) {
    const auto bound = bounds.find(recorded.name);
    const double relative = bound == bounds.end() ? 1e-4 : bound->second;
    const std::string problem =
        run_case(recorded, {.relative_to_element = 0, .relative_to_largest = relative, .absolute = 1e-5});
    INFO(recorded.name << ": " << problem);
    CHECK(problem.empty());
    if (bound == bounds.end()) worst = std::max(worst, last_relative_difference());
  }
  fmt::print("{}: {} networks, float32 differences at most {:.2g} of the largest value\n", root.filename().string(),
             cases.size(), worst);
}

std::vector<Value> inputs_of(const RecordedCase& recorded, const Program& program) {
  std::vector<Value> inputs;
  for (size_t i = 0; i < program.inputs().size(); ++i) {
    inputs.push_back(read_recorded(recorded.data_sets.front() / fmt::format("input_{}.pb", i), program.inputs()[i]));
  }
  return inputs;
}

using Gradients = std::map<std::string, at::Tensor>;

/// Of the sum of the squared outputs, by weight of two axes and more (no biases, no numbers that shapes are made from); undefined where none arrives.
Gradients gradients_of(Program& program, const std::vector<Value>& inputs, const RunOptions& options) {
  for (Parameter& parameter : program.parameters()) {
    parameter.tensor.requires_grad_(true);
    parameter.tensor.mutable_grad() = at::Tensor();
  }
  at::Tensor loss;
  for (const Value& output : program.run(inputs, options).outputs) {
    if (!output.is_tensor() || !output.tensor().requires_grad()) continue;
    const at::Tensor part = output.tensor().to(at::kFloat).square().sum();
    loss = loss.defined() ? loss + part : part;
  }
  if (loss.defined()) loss.backward();
  Gradients gradients;
  for (const Parameter& parameter : program.parameters()) {
    if (parameter.tensor.dim() >= 2) gradients.emplace(parameter.name, parameter.tensor.grad());
  }
  return gradients;
}

double relative_distance(const at::Tensor& a, const at::Tensor& b) {
  const double norm = b.norm().item<double>();
  return norm > 0 ? (a - b).norm().item<double>() / norm : (a - b).norm().item<double>();
}

}  // namespace

TEST_CASE("every graph of the zoo gives the outputs that ONNX Runtime gave", "[program][zoo]") {
  const auto root = shared_or_skip("zoo", "outputs of the zoo");
  if (root.empty()) return;
  check_all(root, reduced_precision(root / "zoo.json"), 62);
}

TEST_CASE("the trained networks give the outputs that ONNX Runtime gave", "[program][zoo]") {
  const auto root = shared_or_skip("models", "outputs of the trained networks");
  if (root.empty()) return;
  check_all(root, {}, 6);
}

TEST_CASE("a loss reaches the weights of every graph of the zoo, or the cut that prevents it is named", "[program][zoo][gradient]") {
  const auto root = shared_or_skip("zoo", "gradients of the zoo");
  if (root.empty()) return;
  int64_t reached = 0;
  for (const RecordedCase& recorded : find_cases(root)) {
    const ModelFile file = ModelFile::load(recorded.model.string());
    const auto program = Program::build(file);
    const Gradients gradients = gradients_of(*program, inputs_of(recorded, *program), {.gradients = true});
    std::set<std::string> cut_off;
    for (const auto& weights : find_gradient_ends(program->plan()).weights) cut_off.insert(weights.begin(), weights.end());
    INFO(recorded.name);
    const std::vector<Step>& steps = program->plan().steps;
    const bool chooses = std::any_of(steps.begin(), steps.end(), [](const Step& step) { return !step.subplans.empty(); });
    for (const auto& [name, gradient] : gradients) {
      INFO(name);
      CHECK((gradient.defined() || cut_off.contains(name) || chooses));  // a branch that was not taken has none
      if (!gradient.defined()) continue;
      ++reached;
      CHECK(gradient.isfinite().all().item<bool>());
    }
  }
  CHECK(reached > 1000);
}

// Untrained networks of many ReLUs magnify a rounding: their outputs move by a fifth and their gradients turn, in any order of computing.
TEST_CASE("every graph of the zoo runs in bfloat16, gives float32, and most stay within its bits", "[program][zoo][precision]") {
  const auto root = shared_or_skip("zoo", "the zoo in bfloat16");
  if (root.empty()) return;
  std::vector<double> differences;
  for (const RecordedCase& recorded : find_cases(root)) {
    const ModelFile file = ModelFile::load(recorded.model.string());
    const auto program = Program::build(file);
    const std::vector<Value> inputs = inputs_of(recorded, *program);
    INFO(recorded.name);
    const std::vector<Value> exact = program->run(inputs).outputs;
    for (int pass = 0; pass < 2; ++pass) {  // node by node, then with fused kernels
      const std::vector<Value> narrow = program->run(inputs, {.bfloat16 = true}).outputs;
      for (size_t i = 0; i < exact.size(); ++i) {
        if (!exact[i].is_tensor()) continue;
        REQUIRE(narrow[i].is_tensor());
        CHECK(narrow[i].type() == exact[i].type());
        CHECK(narrow[i].tensor().scalar_type() == exact[i].tensor().scalar_type());
        if (exact[i].type() != DType::Float32 || exact[i].tensor().sizes() != narrow[i].tensor().sizes()) continue;
        INFO("output " << i << ", pass " << pass);
        CHECK(relative_distance(narrow[i].tensor(), exact[i].tensor()) < 0.3);
      }
    }
    const Gradients wide = gradients_of(*program, inputs, {.gradients = true});
    const Gradients rounded = gradients_of(*program, inputs, {.gradients = true, .bfloat16 = true});
    double squares = 0, distances = 0;
    for (const auto& [name, gradient] : wide) {
      INFO(name);
      REQUIRE(rounded.at(name).defined() == gradient.defined());
      if (!gradient.defined()) continue;
      CHECK(rounded.at(name).scalar_type() == gradient.scalar_type());
      CHECK(rounded.at(name).isfinite().all().item<bool>());
      squares += gradient.square().sum().item<double>();
      distances += (rounded.at(name) - gradient).square().sum().item<double>();
    }
    if (squares > 0) differences.push_back(std::sqrt(distances / squares));
  }
  std::sort(differences.begin(), differences.end());
  REQUIRE(differences.size() > 50);
  CHECK(differences[differences.size() / 2] < 0.03);
  CHECK(differences[differences.size() * 3 / 4] < 0.2);
}

TEST_CASE("a network with operators of another runtime is refused by node, operator, domain and opset", "[program][zoo]") {
  const auto path = shared_or_skip("models/superres-prepost.onnx", "refusal of foreign operators");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  try {
    Program::build(file);
    FAIL("the network was accepted");
  } catch (const ResourceError& e) {
    CHECK(e.exit_code() == 3);
    CHECK_THAT(e.problem().what, Catch::Contains("of domain \"") && Catch::Contains("(opset "));
    CHECK_THAT(e.problem().where, Catch::Contains("node \""));
    CHECK_FALSE(e.problem().fix.empty());
  }
}
