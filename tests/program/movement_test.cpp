// Operators that move elements, where the conformance cases are silent: strings, empty batches, ends of ranges.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/core.h>

#include "program/model_text.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::vector<Value> run(const std::string& graph, const std::vector<Value>& inputs, int opset = 18) {
  const TextModel model(fmt::format("<ir_version: 8, opset_import: [\"\": {}]>\n{}", opset, graph));
  const ModelFile file = model.load();
  return Program::build(file)->run(inputs).outputs;
}

Value floats(const std::vector<float>& values) { return at::tensor(values, at::TensorOptions(at::kFloat)); }
Value texts(const Shape& shape, const std::vector<std::string>& values) {
  return Value::of_strings(HostTensor::of_strings(shape, values));
}

std::vector<double> numbers(const Value& value) {
  const at::Tensor flat = value.tensor().detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace

TEST_CASE("strings move like numbers", "[program][movement]") {
  const auto outputs = run(R"(graph (string[2, 3] x) => (string[3, 2] t, string[2, 1] last, string[2, 2] joined)
      <int64[1] two = {2}, int64[1] end = {9}, int64[1] one = {1}> {
    t = Transpose (x)
    last = Slice (x, two, end, one)
    joined = Concat <axis = 1> (last, last)
  })", {texts({2, 3}, {"a", "b", "c", "d", "e", "f"})});

  CHECK(outputs[0].strings().strings() == std::vector<std::string>{"a", "d", "b", "e", "c", "f"});
  CHECK(outputs[1].strings().strings() == std::vector<std::string>{"c", "f"});
  CHECK(outputs[2].strings().shape() == Shape{2, 2});
  CHECK(outputs[2].strings().strings() == std::vector<std::string>{"c", "c", "f", "f"});
}

TEST_CASE("-1 in a shape is defined for an empty batch when 0 copies it", "[program][movement]") {
  const auto outputs = run("graph (float[n, 2, 3] x) => (float[n, m] y) <int64[2] shape = {0, -1}> { y = Reshape (x, shape) }",
                           {at::empty({0, 2, 3}, at::TensorOptions(at::kFloat))});

  CHECK(outputs[0].describe() == "float32[0, 6]");
}

TEST_CASE("a slice may run backwards to any of the integers that mean its end", "[program][movement]") {
  for (const char* end : {"-9223372036854775808", "-2147483648", "-100", "9223372036854775807"}) {
    const auto outputs = run(fmt::format(R"(graph (float[5] x) => (float[m] y)
        <int64[1] start = {{-1}}, int64[1] end = {{{}}}, int64[1] axis = {{0}}, int64[1] step = {{-2}}> {{
      y = Slice (x, start, end, axis, step)
    }})", end), {floats({0, 1, 2, 3, 4})});

    CHECK(numbers(outputs[0]) == std::vector<double>{4, 2, 0});
  }
}

TEST_CASE("a row that is gathered twice gets both gradients", "[program][movement]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (int64[3] rows) => (float[3, 2] y) <float[2, 2] table = {1, 2, 3, 4}> { y = Gather (table, rows) })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  at::Tensor& table = program->find_parameter("table")->tensor;
  table.requires_grad_(true);

  const Value rows = at::tensor(std::vector<int64_t>{1, -1, 0}, at::TensorOptions(at::kLong));
  program->run({rows}, {.gradients = true}).outputs[0].tensor().sum().backward();

  CHECK(numbers(Value(table.grad())) == std::vector<double>{1, 1, 2, 2});
}

TEST_CASE("the largest of equal elements come in the order of their indices", "[program][movement]") {
  const auto outputs = run("graph (float[6] x) => (float[4] top, int64[4] at) <int64[1] k = {4}> { top, at = TopK (x, k) }",
                           {floats({1, 3, 3, 2, 3, 2})});

  CHECK(numbers(outputs[0]) == std::vector<double>{3, 3, 3, 2});
  CHECK(numbers(outputs[1]) == std::vector<double>{1, 2, 4, 3});
}

TEST_CASE("a loop without turns hands back what it was given and an empty scan", "[program][control]") {
  const auto outputs = run(R"(graph (float[2] x) => (float[2] y, float[n, 2] seen) <int64 none = {0}, bool go = {1}> {
    y, seen = Loop (none, go, x) <body = body (int64 i, bool c, float[2] before) => (bool c_out, float[2] after, float[2] each) {
      c_out = Identity (c)
      after = Add (before, before)
      each = Identity (after)
    }>
  })", {floats({1, 2})});

  CHECK(numbers(outputs[0]) == std::vector<double>{1, 2});
  CHECK(outputs[1].describe() == "float32[0, 2]");
}

TEST_CASE("words are cut and case is changed by Unicode, not by bytes", "[program][strings]") {
  const auto outputs = run(R"(graph (string[3] x) => (string[n] y) {
    y = StringNormalizer <case_change_action = "UPPER", stopwords = ["UND"]> (x)
  })", {texts({3}, {"\xC3\xA4pfel", "und", "\xD0\xB6"})});  // apples with an umlaut, Cyrillic zhe

  CHECK(outputs[0].strings().strings() == std::vector<std::string>{"\xC3\x84PFEL", "\xD0\x96"});
}
