#include "program/program.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "program/gradient_cuts.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::vector<float> numbers(const Value& value) {
  const at::Tensor flat = value.tensor().detach().to(at::kCPU, at::kFloat).contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

Value floats(const std::vector<float>& values) { return at::tensor(values, at::TensorOptions(at::kFloat)); }

}  // namespace

TEST_CASE("shapes that depend on the data are found again in every run", "[program][folding]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[4] x) => (float[n] kept, int64[1] count, float[n] ones) <float zero = {0}, float one = {1}> {
      positive = Greater (x, zero)
      kept = Compress <axis = 0> (x, positive)
      count = Shape (kept)
      ones = Expand (one, count)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);

  const RunResult first = program->run({floats({1, -1, 2, -2})});
  const RunResult second = program->run({floats({1, 2, 3, -2})});

  CHECK(numbers(first.outputs[0]) == std::vector<float>{1, 2});
  CHECK(numbers(second.outputs[0]) == std::vector<float>{1, 2, 3});
  CHECK(numbers(second.outputs[1]) == std::vector<float>{3});
  CHECK(numbers(second.outputs[2]) == std::vector<float>{1, 1, 1});
}

TEST_CASE("shape arithmetic is folded for each signature of its own", "[program][folding]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[batch, 2, 3] x) => (float[batch, m] y) <int64[1] rest = {-1}, int64 zero = {0}, int64[1] axis = {0}> {
      shape = Shape (x)
      batch = Gather (shape, zero)
      rows = Unsqueeze (batch, axis)
      target = Concat <axis = 0> (rows, rest)
      y = Reshape (x, target)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);

  for (const int64_t batch : {1, 4, 1, 2}) {
    const at::Tensor x = at::tensor(std::vector<float>(static_cast<size_t>(batch * 6), 1.0F)).view({batch, 2, 3});
    CHECK(program->run({x}).outputs[0].describe() == Value(x.view({batch, 6})).describe());
  }
}

TEST_CASE("a tap sees a folded value even when earlier runs did not ask for it", "[program][folding]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
      doubled = Add (w, w)
      squared = Mul (doubled, doubled)
      y = Add (x, squared)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  program->run({floats({0, 0})});

  for (int pass = 0; pass < 2; ++pass) {
    const RunResult result = program->run({floats({0, 0})}, {.taps = {"doubled"}});
    REQUIRE(result.taps.at("doubled").is_tensor());
    CHECK(numbers(result.taps.at("doubled")) == std::vector<float>{2, 4});
  }
}

TEST_CASE("a changed parameter changes what was folded from it", "[program][folding]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
      doubled = Add (w, w)
      y = Add (x, doubled)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  CHECK(numbers(program->run({floats({0, 0})}).outputs[0]) == std::vector<float>{2, 4});

  program->find_parameter("w")->tensor = at::tensor({5.0F, 6.0F});
  program->parameters_changed();

  CHECK(numbers(program->run({floats({0, 0})}).outputs[0]) == std::vector<float>{10, 12});
}

TEST_CASE("gradients flow through every turn of a loop", "[program][gradient]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[1] x) => (float[1] y, float[3, 1] steps) <float[1] w = {2}, int64 turns = {3}, bool go = {1}> {
      y, steps = Loop (turns, go, x) <body = body (int64 i, bool c, float[1] before)
                                          => (bool c_out, float[1] after, float[1] seen) {
        c_out = Identity (c)
        after = Mul (before, w)
        seen = Identity (after)
      }>
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  at::Tensor& weight = program->find_parameter("w")->tensor;
  weight.requires_grad_(true);

  const RunResult result = program->run({floats({1})}, {.gradients = true});

  CHECK(numbers(result.outputs[0]) == std::vector<float>{8});
  CHECK(numbers(result.outputs[1]) == std::vector<float>{2, 4, 8});
  result.outputs[0].tensor().sum().backward();
  CHECK(weight.grad().item<float>() == 12.0F);  // d(w^3)/dw = 3 w^2
}

TEST_CASE("a model's own functions are inlined with the attributes of each call", "[program][functions]") {
  const TextModel model(R"(<ir_version: 9, opset_import: ["": 17, "own": 1]>
    graph (float[2] x) => (float[2] y) {
      leaky = own.Slope <slope = 0.5> (x)
      y = own.Slope <slope = 0.25> (leaky)
    }
    <domain: "own", opset_import: ["": 17]>
    Slope <slope> (a) => (b) {
      b = LeakyRelu <alpha: float = @slope> (a)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);

  CHECK(numbers(program->run({floats({-8, 3})}).outputs[0]) == std::vector<float>{-1, 3});
}

TEST_CASE("weights behind an operator without gradient are reported with that operator", "[program][gradient]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2] x) => (float[2] y) <float[2] w = {0.5, 2}> {
      rough = Mul (x, w)
      rounded = Round (rough)
      y = Relu (rounded)
    })");
  const ModelFile file = model.load();
  const auto cuts = Program::build(file)->gradient_cuts();

  REQUIRE(cuts.size() == 1);
  CHECK(cuts[0].op == "Round");
  CHECK(cuts[0].value == "rounded");
}

TEST_CASE("weights that a gradient reaches on another way are not called cut off", "[program][gradient]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2] x) => (float[2] y, int64 best) <float[2] shared = {0.5, 2}, float[2] lost = {1, 2}> {
      scaled = Mul (x, shared)
      best = ArgMax <axis = 0, keepdims = 0> (scaled)
      drowned = Add (x, lost)
      rounded = Round (drowned)
      y = Add (scaled, rounded)
    })");
  const ModelFile file = model.load();

  const GradientEnds ends = find_gradient_ends(Program::build(file)->plan());

  REQUIRE(ends.cuts.size() == 2);
  CHECK(ends.cuts[0].op == "ArgMax");
  CHECK(ends.weights[0].empty());
  CHECK(ends.cuts[1].op == "Round");
  CHECK(ends.weights[1] == std::vector<std::string>{"lost"});
}

TEST_CASE("a loop without an end is stopped and named", "[program][errors]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[1] x) => (float[1] y) <int64 most = {9223372036854775807}, bool go = {1}> {
      [forever] y = Loop (most, go, x) <body = body (int64 i, bool c, float[1] before) => (bool c, float[1] after) {
        after = Identity (before)
      }>
    })");
  const ModelFile file = model.load();
  try {
    Program::build(file)->run({floats({1})});
    FAIL("it ended");
  } catch (const ResourceError& e) {
    CHECK(e.exit_code() == 3);
    CHECK_THAT(e.problem().what, Catch::Contains("1000000 turns"));
    CHECK_THAT(e.problem().where, Catch::Contains("forever") && Catch::Contains("Loop"));
  }
}

TEST_CASE("an opset from the future is refused where operators would have to run", "[program][errors][opset]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 999]> graph (float[1] x) => (float[1] y) { y = Relu (x) })");
  const ModelFile file = model.load();
  CHECK_THROWS_WITH(Program::build(file), Catch::Contains("opset 999") && Catch::Contains("ai.onnx"));
}

TEST_CASE("an input that does not fit the signature is refused with both shapes", "[program][errors]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[batch, 3] a, float[batch, 3] b) => (float[batch, 3] y) { y = Add (a, b) })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const auto rows = [](int64_t count, int64_t width) {
    return Value(at::tensor(std::vector<float>(static_cast<size_t>(count * width))).view({count, width}));
  };

  CHECK_THROWS_AS(program->run({rows(2, 3)}), ShapeError);
  CHECK_THROWS_WITH(program->run({rows(2, 4), rows(2, 4)}), Catch::Contains("float32[2, 4]") && Catch::Contains("float32[batch, 3]"));
  CHECK_THROWS_WITH(program->run({rows(2, 3), rows(5, 3)}), Catch::Contains("\"batch\" = 2 as in input \"a\""));
  CHECK_NOTHROW(program->run({rows(2, 3), rows(2, 3)}));
}

TEST_CASE("an operator that fails names its node and the shapes that it got", "[program][errors]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[n] a, float[m] b) => (float[k] y) { [add_them] y = Add (a, b) })");
  const ModelFile file = model.load();

  CHECK_THROWS_WITH(Program::build(file)->run({floats({1, 2}), floats({1, 2, 3})}),
                    Catch::Contains("add_them") && Catch::Contains("float32[2]") && Catch::Contains("float32[3]"));
}

TEST_CASE("before opset 7 the right operand begins at the axis that the node names", "[program][opset]") {
  const TextModel model(R"(<ir_version: 3, opset_import: ["": 6]>
    graph (float[2, 3] x, float[2] bias) => (float[2, 3] y) { y = Add <broadcast = 1, axis = 0> (x, bias) })");
  const ModelFile file = model.load();
  const Value x = floats({0, 1, 2, 3, 4, 5}).tensor().view({2, 3});

  CHECK(numbers(Program::build(file)->run({x, floats({10, 20})}).outputs[0]) ==
        std::vector<float>{10, 11, 12, 23, 24, 25});
}

TEST_CASE("a node or an output that says something else than the operator computes is refused, not ignored", "[program][errors]") {
  const auto fails = [](const std::string& signature, const std::string& nodes, const std::string& words) {
    const TextModel model("<ir_version: 8, opset_import: [\"\": 17]> graph (float[1, 1, 4, 4] x, float[1, 1, 3, 3] w) => (" + signature + " y) { " + nodes + " }");
    const ModelFile file = model.load();
    try {
      Program::build(file)->run({Value(at::ones({1, 1, 4, 4})), Value(at::ones({1, 1, 3, 3}))});
      FAIL(nodes << " ran");
    } catch (const Error& e) {
      CHECK(e.exit_code() == 3);
      CHECK_THAT(e.problem().what + " at " + e.problem().where, Catch::Contains(words));
    }
  };
  fails("float[N]", "[soft] y = Softmax <axes = 1> (x)", "\"axes\" is unknown for operator \"Softmax\" (opset 17)");
  fails("float[N]", "[soft] y = Softmax <axis = \"one\"> (x)", "STRING where INT belongs");
  fails("float[N]", "[rectify] y = Relu (x, w)", "node \"rectify\"");
  fails("float[N]", "[convolve] y = Conv <kernel_shape = [5, 5]> (x, w)", "kernel_shape [5, 5] contradicts the weight of shape float32[1, 1, 3, 3]");
  fails("int64[1, 1, 2, 2]", "y = Conv <kernel_shape = [3, 3]> (x, w)", "declared as int64[1, 1, 2, 2], but the graph gives float32[1, 1, 2, 2]");
}
