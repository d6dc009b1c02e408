// Every operator that claims a gradient is held against central differences in float64.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"
#include "program/gradient_cases.h"
#include "program/model_text.h"
#include "program/op.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

bool occurs(const std::string& text, const std::string& name) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const auto part_of_name = [&](size_t i) { return i < text.size() && (std::isalnum(text[i]) != 0 || text[i] == '_'); };
    if ((at == 0 || !part_of_name(at - 1)) && !part_of_name(at + name.size())) return true;
  }
  return false;
}

std::string model_of(const GradientCase& one) {
  std::string outputs = "y";
  if (occurs(one.body, "z")) outputs += ", z";
  const std::string constants = one.constants.empty() ? "" : "<" + one.constants + ">";
  return fmt::format(R"(<ir_version: 10, opset_import: ["": {}, "ai.onnx.ml": 3, "com.microsoft": 1, "ai.onnx.preview": 1,
      "ai.onnx.preview.training": 1]>
    graph ({}) => ({}) {} {{ {} }})", one.opset, one.inputs, outputs, constants, one.body);
}

/// Distinct numbers, evenly spread over the range in random order, and different from those of other inputs: no ties
/// for Max and none exactly in the middle.
at::Tensor numbers_of(const GradientCase& one, const ValueInfo& input, size_t place) {
  std::vector<int64_t> shape;
  for (const Dimension& dimension : *input.shape) shape.push_back(dimension.size);
  at::Tensor tensor = at::empty(shape, at::TensorOptions(carrier_of(input.type)));
  const int64_t count = tensor.numel();
  std::vector<int64_t> order(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) order[static_cast<size_t>(i)] = i;
  Rng random(place, one.op);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
  at::Tensor flat = tensor.view({-1});
  for (int64_t i = 0; i < count; ++i) {
    const double at = (static_cast<double>(order[static_cast<size_t>(i)]) + 0.37 + 0.09 * static_cast<double>(place % 5)) /
                      static_cast<double>(count);
    flat[i].fill_(one.low + at * (one.high - one.low));
  }
  return tensor;
}

/// The sum of all floating-point outputs, each element times a fixed weight of its own.
at::Tensor loss_of(const RunResult& result) {
  at::Tensor loss;
  for (const Value& output : result.outputs) {
    if (!output.is_tensor() || !output.tensor().is_floating_point()) continue;
    const at::Tensor flat = output.tensor().flatten().to(at::kDouble);
    std::vector<double> weights;
    for (int64_t i = 0; i < flat.numel(); ++i) weights.push_back(std::cos(1.3 * static_cast<double>(i) + 0.4) + 0.3);
    const at::Tensor part = (flat * at::tensor(weights, flat.options().requires_grad(false))).sum();
    loss = loss.defined() ? loss + part : part;
  }
  return loss;
}

/// "" if every gradient agrees.
std::string check(const GradientCase& one) {
  const TextModel text(model_of(one));
  const ModelFile file = text.load();
  const auto program = Program::build(file);
  std::vector<at::Tensor> inputs;
  for (size_t i = 0; i < program->inputs().size(); ++i) inputs.push_back(numbers_of(one, program->inputs()[i], i));
  const auto run = [&](bool gradients) {
    return program->run({inputs.begin(), inputs.end()}, {.training = one.training, .gradients = gradients, .seed = 5});
  };
  for (at::Tensor& input : inputs) input.requires_grad_(true);
  const at::Tensor loss = loss_of(run(true));
  if (!loss.defined() || !loss.requires_grad()) return "no gradient leaves the outputs";
  loss.backward();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = program->inputs()[i].name;
    const at::Tensor& recorded = inputs[i].grad();
    if (!recorded.defined()) return fmt::format("no gradient reaches \"{}\"", name);
    const at::Tensor gradient = recorded.to(at::kDouble).contiguous().view({-1});
    if (gradient.abs().max().item<double>() == 0) return fmt::format("the gradient of \"{}\" is zero", name);
    const at::NoGradGuard not_recorded;
    at::Tensor flat = inputs[i].detach().view({-1});
    const double largest = std::max(1.0, gradient.abs().max().item<double>());
    for (int64_t at = 0; at < flat.numel(); ++at) {
      const at::Tensor before = flat[at].clone();
      flat[at].fill_(before.item<double>() + one.step);
      const double above = loss_of(run(false)).item<double>();
      flat[at].fill_(before.item<double>() - one.step);
      const double below = loss_of(run(false)).item<double>();
      flat[at].copy_(before);
      const double expected = (above - below) / (2 * one.step);
      const double actual = gradient[at].item<double>();
      if (!(std::abs(actual - expected) <= one.tolerance * largest)) {
        return fmt::format("d loss / d {}[{}] is {}, the difference quotient {}", name, at, actual, expected);
      }
    }
  }
  return "";
}

void check_all(const std::vector<GradientCase>& cases) {
  for (const GradientCase& one : cases) {
    std::string problem;
    try {
      problem = check(one);
    } catch (const std::exception& e) {
      problem = e.what();
    }
    INFO(one.op << " (" << one.inputs << "): " << one.body << "\n  " << problem);
    CHECK(problem.empty());
  }
}

}  // namespace

TEST_CASE("gradients of elementwise operators are those of differences", "[program][gradients]") {
  check_all(elementwise_gradient_cases());
}

TEST_CASE("gradients of operators that move and reduce are those of differences", "[program][gradients]") {
  check_all(movement_gradient_cases());
}

TEST_CASE("gradients of layers are those of differences", "[program][gradients]") { check_all(layer_gradient_cases()); }

TEST_CASE("gradients of quantised operators and of other domains are those of differences", "[program][gradients]") {
  check_all(foreign_gradient_cases());
}

TEST_CASE("no differentiable operator is left out of the gradient test", "[program][gradients]") {
  std::set<std::string> covered;
  for (const auto& cases : {elementwise_gradient_cases(), movement_gradient_cases(), layer_gradient_cases(),
                            foreign_gradient_cases()}) {
    for (const GradientCase& one : cases) {
      INFO("the case of " << one.op << " does not use it: " << one.body);
      CHECK(occurs(one.body, one.op));
      covered.insert(one.op);
    }
  }
  for (const OpSpec* op : all_ops()) {
    if (op->gradient == Gradient::No) continue;
    const std::string name = op->domain.empty() ? op->name : op->domain + "." + op->name;
    INFO(name << " claims a gradient and has no case");
    CHECK(covered.contains(name));
  }
}

TEST_CASE("at the bounds of Clip the gradient is 0, as of the ReLU6 that exporters write so", "[program][gradients]") {
  for (const char* nodes : {"y = Clip (x, low, high)", "y = Clip (x, low)"}) {
    const TextModel model(fmt::format(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[5] x) => (float[5] y) <float low = {{0}}, float high = {{6}}> {{ {} }})", nodes));
    const ModelFile file = model.load();
    const at::Tensor x = at::tensor({-1.0F, 0.0F, 3.0F, 6.0F, 7.0F}).requires_grad_(true);
    Program::build(file)->run({x}, {.gradients = true}).outputs[0].tensor().sum().backward();
    const bool bounded = std::string_view(nodes).find("high") != std::string_view::npos;
    CHECK(x.grad().equal(bounded ? at::tensor({0.0F, 0.0F, 1.0F, 0.0F, 0.0F}) : at::tensor({0.0F, 1.0F, 1.0F, 1.0F, 1.0F})));
  }
}
