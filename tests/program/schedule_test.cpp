// What the optimiser does to a run for inference: other kernels, less memory, the same numbers.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/tensor.h>
#include <fmt/core.h>

#include "program/model_text.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

at::Tensor ramp(const std::vector<int64_t>& shape, double low, double high) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::linspace(low, high, count, at::TensorOptions(at::kFloat)).sin().view(shape);
}

double gap(const Value& a, const Value& b) {
  REQUIRE(a.describe() == b.describe());
  return (a.tensor() - b.tensor()).abs().max().item<double>();
}

/// Convolution, normalisation, residual and activation, as exporters write a residual block.
const char* const kBlock = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[batch, 3, 8, 8] x) => (float[batch, 3, 8, 8] y)
    <float[3, 3, 3, 3] w = {NUMBERS}, float[3] scale = {1.5, 0.5, -2}, float[3] shift = {0.1, 0.2, 0.3},
     float[3] mean = {0.4, -0.1, 0.2}, float[3] variance = {0.5, 2, 1}> {
    w2 = Identity (w)
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    n = BatchNormalization (c, scale, shift, mean, variance)
    r = Relu (n)
    d = Conv <pads = [1, 1, 1, 1]> (r, w2)
    m = BatchNormalization (d, scale, shift, mean, variance)
    s = Add (m, x)
    y = Relu (s)
  })";

/// The text with its NUMBERS in place.
std::string with_numbers(std::string text, const at::Tensor& values) {
  std::string numbers;
  for (int64_t i = 0; i < values.numel(); ++i) numbers += fmt::format("{}{}", i == 0 ? "" : ", ", values.view(-1)[i].item<float>());
  text.replace(text.find("NUMBERS"), 7, numbers);
  return text;
}

std::string block_text() { return with_numbers(kBlock, ramp({81}, -20, 31) * 0.3); }

}  // namespace

TEST_CASE("a fused block gives what its nodes give, with every batch size", "[program][schedule]") {
  const TextModel model(block_text());
  const ModelFile file = model.load();
  const auto program = Program::build(file);

  for (const int64_t batch : {2, 1, 2, 3}) {
    const at::Tensor x = ramp({batch, 3, 8, 8}, 0, 40);
    const at::Tensor before = x.clone();
    const Value plain = program->run({x}, {.optimise = false}).outputs[0];
    for (int pass = 0; pass < 3; ++pass) {  // the first run learns, later ones use the kernels
      const Value fused = program->run({x}).outputs[0];
      CHECK(gap(fused, plain) < 1e-5);
      CHECK(fused.tensor().is_contiguous());
    }
    CHECK(x.equal(before));  // the residual is the caller's: it is not written over
  }
}

TEST_CASE("a value that a fusion would swallow is there for a tap, in the usual order", "[program][schedule]") {
  const TextModel model(block_text());
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = ramp({2, 3, 8, 8}, 0, 40);
  const RunResult plain = program->run({x}, {.optimise = false, .taps = {"c", "n", "s"}});
  program->run({x});
  program->run({x});

  for (int pass = 0; pass < 3; ++pass) {
    const RunResult tapped = program->run({x}, {.taps = {"c", "n", "s"}});
    for (const char* name : {"c", "n", "s"}) {
      CHECK(gap(tapped.taps.at(name), plain.taps.at(name)) < 1e-5);
      CHECK(tapped.taps.at(name).tensor().is_contiguous());
    }
    CHECK(gap(tapped.outputs[0], plain.outputs[0]) < 1e-5);
  }
}

TEST_CASE("a weight that is written into or replaced counts in the next run, packed or not", "[program][schedule]") {
  const TextModel model(block_text());
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = ramp({2, 3, 8, 8}, 0, 40);
  program->run({x});
  program->run({x});

  const auto fused_gap = [&] {
    const Value plain = program->run({x}, {.optimise = false}).outputs[0];
    return gap(program->run({x}).outputs[0], plain) / plain.tensor().abs().max().item<double>();
  };
  for (const char* name : {"w", "scale", "variance"}) {
    const at::NoGradGuard not_recorded;
    program->find_parameter(name)->tensor.mul_(1.5);  // nothing else is called
    CHECK(fused_gap() < 1e-6);
    CHECK(fused_gap() < 1e-6);
  }
  const Value before = program->run({x}).outputs[0];
  program->find_parameter("shift")->tensor = at::tensor({5.0F, 5.0F, 5.0F});
  CHECK(gap(program->run({x}).outputs[0], before) > 1);
  CHECK(fused_gap() < 1e-6);
}

TEST_CASE("gradients are those of the nodes, after runs that fused them", "[program][schedule]") {
  const TextModel model(block_text());
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = ramp({2, 3, 8, 8}, 0, 40);
  at::Tensor& w = program->find_parameter("w")->tensor;
  w.requires_grad_(true);
  program->run({x}, {.gradients = true}).outputs[0].tensor().sum().backward();
  const at::Tensor first = w.grad().clone();
  w.mutable_grad() = at::Tensor();
  program->run({x});
  program->run({x});

  program->run({x}, {.gradients = true}).outputs[0].tensor().sum().backward();

  CHECK((w.grad() - first).abs().max().item<double>() == 0);
  CHECK(first.abs().max().item<double>() > 0);
}

TEST_CASE("only memory that nobody else holds is written over", "[program][schedule]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[2, 3] x) => (float[2, 3] y, float[3, 2] turned, float[2, 3] kept, float[2, 3] z)
      <float[2, 3] w = {1, -2, 3, -4, 5, -6}, int64[2] shape = {3, 2}> {
      a = Add (x, w)
      turned = Transpose (a)
      y = Relu (a)
      kept = Identity (w)
      b = Mul (w, x)
      view = Reshape (b, shape)
      c = Neg (b)
      back = Reshape (view, two)
      z = Add (c, back)
      two = Constant <value = int64[2] {2, 3}> ()
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = at::tensor({-1.0F, -1.0F, -1.0F, 1.0F, 1.0F, 1.0F}).view({2, 3});

  for (int pass = 0; pass < 3; ++pass) {
    const RunResult result = program->run({x});
    CHECK(result.outputs[0].tensor().equal(at::tensor({0.0F, 0.0F, 2.0F, 0.0F, 6.0F, 0.0F}).view({2, 3})));
    CHECK(result.outputs[1].tensor().equal(at::tensor({0.0F, -3.0F, -3.0F, 6.0F, 2.0F, -5.0F}).view({3, 2})));
    CHECK(result.outputs[2].tensor().equal(at::tensor({1.0F, -2.0F, 3.0F, -4.0F, 5.0F, -6.0F}).view({2, 3})));
    CHECK(result.outputs[3].tensor().abs().max().item<double>() == 0);
    CHECK(x.equal(at::tensor({-1.0F, -1.0F, -1.0F, 1.0F, 1.0F, 1.0F}).view({2, 3})));
  }
}

TEST_CASE("a product and its bias are one kernel with the same numbers", "[program][schedule]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[batch, 2, 2] x) => (float[batch, 2, 3] y) <float[2, 3] w = {1, 2, 3, 4, 5, 6}, float[3] b = {10, 20, 30}> {
      p = MatMul (x, w)
      y = Add (b, p)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = at::tensor({1.0F, 0.0F, 0.0F, 1.0F, 1.0F, 1.0F, 2.0F, -1.0F}).view({2, 2, 2});
  const at::Tensor expected = at::tensor({11.F, 22.F, 33.F, 14.F, 25.F, 36.F, 15.F, 27.F, 39.F, 8.F, 19.F, 30.F}).view({2, 2, 3});

  for (int pass = 0; pass < 3; ++pass) CHECK(program->run({x}).outputs[0].tensor().equal(expected));
}

namespace {

/// Attention as exporters write it out: the scale on both operands, the key transposed by a view of another shape.
const char* const kAttention = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[batch, 2, 5, 4] q, float[batch, 2, keys, 4] k, float[batch, 2, keys, 4] v) => (float[batch, 2, 5, 4] y)
    <float scale = {0.7}, float two = {2}, float[4] w = {1, -0.5, 0.25, 2}> {
    a = Mul (q, w)
    s = Mul (a, scale)
    t = Transpose <perm = [0, 1, 3, 2]> (k)
    u = Mul (scale, t)
    m = MatMul (s, u)
    d = Div (m, two)
    p = Softmax <axis = -1> (d)
    y = MatMul (p, v)
  })";

}  // namespace

TEST_CASE("attention that is written out is one kernel with the same numbers", "[program][schedule]") {
  const TextModel model(kAttention);
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  for (const int64_t keys : {7, 1, 5}) {
    const std::vector<Value> inputs{ramp({3, 2, 5, 4}, 0, 40), ramp({3, 2, keys, 4}, 2, 55), ramp({3, 2, keys, 4}, 1, 30)};
    const Value plain = program->run(inputs, {.optimise = false}).outputs[0];
    for (int pass = 0; pass < 3; ++pass) CHECK(gap(program->run(inputs).outputs[0], plain) < 1e-6);
    const RunResult tapped = program->run(inputs, {.taps = {"p"}});
    CHECK(tapped.taps.at("p").describe() == fmt::format("float32[3, 2, 5, {}]", keys));
  }
  // Operands that are broadcast stay with the nodes.
  const std::vector<Value> shared{ramp({3, 2, 5, 4}, 0, 40), ramp({1, 2, 7, 4}, 2, 55), ramp({1, 2, 7, 4}, 1, 30)};
  const TextModel loose([] {
    std::string text = kAttention;
    for (size_t at = text.find("batch"); at != std::string::npos; at = text.find("batch")) text.replace(at, 5, "b" + std::to_string(at));
    return text;
  }());
  const ModelFile loose_file = loose.load();
  const auto other = Program::build(loose_file);
  const Value plain = other->run(shared, {.optimise = false}).outputs[0];
  for (int pass = 0; pass < 2; ++pass) CHECK(gap(other->run(shared).outputs[0], plain) < 1e-6);
}

TEST_CASE("a softmax is written over scores that end with it, not over what somebody holds", "[program][schedule]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 20]>
    graph (float[batch, 6] x) => (float[batch, 6] y, float[batch, 6] z, float[batch, 6] k) {
      a = Softmax (x)
      k = Exp (a)
      b = Gelu (a)
      y = Softmax (b)
      z = Softmax <axis = 1> (k)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  for (const int64_t batch : {3, 1, 3}) {
    const at::Tensor x = ramp({batch, 6}, 0, 9);
    const at::Tensor before = x.clone();
    const RunResult plain = program->run({x}, {.optimise = false});
    for (int pass = 0; pass < 3; ++pass) {
      const RunResult fused = program->run({x});
      for (size_t i = 0; i < 3; ++i) CHECK(gap(fused.outputs[i], plain.outputs[i]) < 1e-6);
    }
    CHECK(x.equal(before));
  }
}

TEST_CASE("in bfloat16 a block stays within its precision, node by node and fused, and weights and gradients are float32", "[program][precision]") {
  const TextModel model(block_text());
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = ramp({2, 3, 8, 8}, 0, 40);
  const Value exact = program->run({x}, {.optimise = false}).outputs[0];
  const double largest = exact.tensor().abs().max().item<double>();

  for (int pass = 0; pass < 3; ++pass) {  // the first run learns, later ones use the kernels
    const Value rounded = program->run({x}, {.bfloat16 = true}).outputs[0];
    CHECK(gap(rounded, exact) > 1e-5 * largest);  // it was rounded
    CHECK(gap(rounded, exact) < 0.03 * largest);  // 8 bits of mantissa, two convolutions deep
    CHECK(rounded.tensor().is_contiguous());
  }
  at::Tensor& w = program->find_parameter("w")->tensor;
  w.mul_(-1);  // a change reaches the rounded copies
  CHECK(gap(program->run({x}, {.bfloat16 = true}).outputs[0], program->run({x}, {.optimise = false}).outputs[0]) < 0.03 * largest);
  w.mul_(-1);
  w.requires_grad_(true);
  program->run({x}, {.gradients = true}).outputs[0].tensor().sum().backward();
  const at::Tensor gradient = w.grad().clone();
  w.mutable_grad() = at::Tensor();
  program->run({x}, {.gradients = true, .bfloat16 = true}).outputs[0].tensor().sum().backward();
  CHECK(w.grad().scalar_type() == at::kFloat);
  CHECK((w.grad() - gradient).norm().item<double>() < 0.05 * gradient.norm().item<double>());
}

TEST_CASE("what a run in bfloat16 hands out is float32 and lies on the way to the loss", "[program][precision]") {
  const TextModel model(block_text());
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = ramp({2, 3, 8, 8}, 0, 40);
  program->find_parameter("w")->tensor.requires_grad_(true);
  const RunResult wide = program->run({x}, {.gradients = true, .taps = {"c", "n", "r"}});
  const at::Tensor doubled_of_wide = program->run({x}, {.gradients = true, .after = {{"n", [](const at::Tensor& n) { return 2 * n; }}}}).outputs[0].tensor();

  for (int pass = 0; pass < 2; ++pass) {
    const RunResult result = program->run({x}, {.gradients = true, .bfloat16 = true, .taps = {"c", "n", "r"}});
    std::vector<at::Tensor> taps;
    for (const char* name : {"c", "n", "r"}) {
      taps.push_back(result.taps.at(name).tensor());
      CHECK(taps.back().scalar_type() == at::kFloat);
      CHECK(gap(result.taps.at(name), wide.taps.at(name)) < 0.03 * taps.back().abs().max().item<double>());
      taps.back().retain_grad();
    }
    result.outputs[0].tensor().sum().backward();
    for (const at::Tensor& tap : taps) {
      REQUIRE(tap.grad().defined());
      CHECK(tap.grad().abs().sum().item<double>() > 0);
    }
    const Value doubled = program->run({x}, {.gradients = true, .bfloat16 = true, .after = {{"n", [](const at::Tensor& n) {
                                                                                               CHECK(n.scalar_type() == at::kFloat);
                                                                                               return 2 * n;
                                                                                             }}}}).outputs[0];
    CHECK(gap(doubled, doubled_of_wide) < 0.03 * doubled_of_wide.abs().max().item<double>());
  }
}

TEST_CASE("in bfloat16 a second stream of data keeps its float32, and subgraphs see and give float32", "[program][precision]") {
  const TextModel model(with_numbers(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[4, 8] x) => (float[4, 8] sum, float[n, 4, 8] all) <float[8, 8] w = {NUMBERS}, float[8] bias = {1, 2, 3, 4, 5, 6, 7, 8}, int64 trips = {2}, bool yes = {1}> {
      p = MatMul (x, w)
      b = Add (p, bias)
      far = Add (b, x)
      sum = Mul (far, far)
      last, all = Loop (trips, yes, b) <body = step (int64 i, bool c, float[4, 8] seen) => (bool go, float[4, 8] next, float[4, 8] given) {
        go = Identity (c)
        next = Add (seen, p)
        given = Mul (next, next)
      }>
    })", ramp({8, 8}, 0, 50)));
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const std::vector<Value> inputs{ramp({4, 8}, 0, 9)};
  const std::vector<Value> exact = program->run(inputs).outputs;

  for (int pass = 0; pass < 2; ++pass) {
    const std::vector<Value> rounded = program->run(inputs, {.bfloat16 = true}).outputs;
    for (size_t i = 0; i < 2; ++i) CHECK(gap(rounded[i], exact[i]) < 0.02 * exact[i].tensor().abs().max().item<double>());
  }
  // far = b + x: b has 8 bits, x all of its own.
  const at::Tensor far = program->run(inputs, {.bfloat16 = true, .taps = {"far"}}).taps.at("far").tensor();
  const at::Tensor rest = far - inputs[0].tensor();
  CHECK((rest - rest.to(at::kBFloat16).to(at::kFloat)).abs().max().item<double>() < 1e-5);
  CHECK((far - far.to(at::kBFloat16).to(at::kFloat)).abs().max().item<double>() > 1e-4);
}

TEST_CASE("in bfloat16 convolutions of few channels a group stay float32, where the kernels are faster, fused or not", "[program][precision]") {
  const auto program = [](int group, const char* shape) {
    return fmt::format(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[1, 8, 4, 4] x) => (float[1, 8, 4, 4] y) <float[{}] w = {{NUMBERS}}> {{
      c = Conv <group = {}, pads = [1, 1, 1, 1]> (x, w)
      r = Relu (c)
      y = Mul (r, r)
    }})", shape, group);
  };
  const at::Tensor x = ramp({1, 8, 4, 4}, 0, 40);
  const auto distances = [&](const std::string& text, int64_t count) {
    const TextModel model(with_numbers(text, ramp({count}, -20, 31)));
    const ModelFile file = model.load();
    const auto built = Program::build(file);
    const Value wide = built->run({x}, {.optimise = false}).outputs[0];
    std::vector<double> each{gap(built->run({x}, {.gradients = true, .bfloat16 = true}).outputs[0], wide)};
    for (int pass = 0; pass < 3; ++pass) each.push_back(gap(built->run({x}, {.bfloat16 = true}).outputs[0], wide));
    return each;
  };
  for (const double distance : distances(program(8, "8, 1, 3, 3"), 72)) CHECK(distance < 1e-5);
  for (const double distance : distances(program(1, "8, 8, 3, 3"), 576)) CHECK(distance > 1e-3);
}

TEST_CASE("in bfloat16 what follows the last product is float32 in every run with a signature", "[program][precision]") {
  const TextModel model(with_numbers(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[4, 8] x) => (float[4, 8] y) <float[8, 8] w = {NUMBERS}, float[8] bias = {100, 101, 102, 103, 104, 105, 106, 107}> {
      p = MatMul (x, w)
      y = Add (p, bias)
    })", ramp({8, 8}, 0, 50)));
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  const at::Tensor x = ramp({4, 8}, 0, 9);
  const Value exact = program->run({x}).outputs[0];
  for (int pass = 0; pass < 3; ++pass) CHECK(gap(program->run({x}, {.bfloat16 = true}).outputs[0], exact) < 0.03);  // a bfloat16 near 100 is off by up to 0.25
}

TEST_CASE("numbers that bfloat16 cannot hold, parameters that are computed and pools that have no kernel for it do not stop a run in it", "[program][precision]") {
  const auto check = [](const std::string& text, const at::Tensor& x) {
    INFO(text);
    const TextModel model(text);
    const ModelFile file = model.load();
    const auto program = Program::build(file);
    const at::Tensor exact = program->run({x}).outputs[0].tensor();
    for (int pass = 0; pass < 2; ++pass) {
      const at::Tensor rounded = program->run({x}, {.bfloat16 = true}).outputs[0].tensor();
      CHECK(rounded.isfinite().all().item<bool>());
      CHECK((rounded - exact).abs().max().item<double>() <= 0.02 * exact.abs().max().item<double>());
    }
    program->run({x}, {.gradients = true, .bfloat16 = true});
  };
  const std::string begin = R"(<ir_version: 8, opset_import: ["": 17]> graph (float[2, 3] x) => (float[2, 3] y)
    <float[3, 3] w = {1, 0, 0.5, 0, 1, 0, 0.25, 0, 1}, float low = {-3.4028234e38}, float high = {3.4028234e38}, float[3] ones = {1, 1, 1}, float[3] v = {0.1, 0.2, 0.3}> { p = MatMul (x, w) )";
  const at::Tensor x = ramp({2, 3}, 0, 9);
  check(begin + "c = Clip (p, low, high) y = Neg (c) }", x);
  check(begin + "c = Clip (p, low) y = Neg (c) }", x);
  check(begin + "z = Sub (p, p) m = Mul (z, low) y = Add (m, p) }", x);
  check(begin + "s = MatMul (v, w) n = LayerNormalization (p, s, v) y = Neg (n) }", x);
  check(begin + "s = MatMul (v, w) n = BatchNormalization (p, s, v, v, ones) y = Neg (n) }", x);
  for (const char* number : {"0", "-3.4028234e38"}) {
    check(fmt::format(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[1, 1, 4, 4] x) => (float[1, 1, 4, 4] y) <float[1, 1, 1, 1] w = {{0.7}}, int64[8] pads = {{0, 0, 1, 1, 0, 0, 1, 1}}, float number = {{{}}}> {{
      c = Conv (x, w) p = Pad (c, pads, number) m = MaxPool <kernel_shape = [3, 3]> (p) y = Neg (m) }})", number), ramp({1, 1, 4, 4}, 0, 40));
  }
  check(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[1, 1, 4, 4, 4] x) => (float[1, 1, 2, 2, 2] y) <float[1, 1, 1, 1, 1] w = {0.7}> {
    c = Conv (x, w) a = AveragePool <kernel_shape = [2, 2, 2], strides = [2, 2, 2]> (c) y = Neg (a) })", ramp({1, 1, 4, 4, 4}, 0, 40));
}
