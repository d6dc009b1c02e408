#include <cmath>

#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("Where and Equal broadcast strings", "[program][comparison]") {
  const Value words = Value::of_strings(HostTensor::of_strings({2}, {"a", "b"}));
  const Value word = Value::of_strings(HostTensor::of_strings({1}, {"b"}));
  CHECK(to_integers(run_op({.op = "Equal"}, {words, word})[0]) == std::vector<int64_t>{0, 1});
  const auto out = run_op({.op = "Where"}, {integers(DType::Bool, {2, 1}, {1, 0}), words, word});
  CHECK(out[0].strings().shape() == std::vector<int64_t>{2, 2});
  CHECK(out[0].strings().strings() == std::vector<std::string>{"a", "b", "b", "b"});
}

TEST_CASE("Where passes the gradient of each side where it was chosen", "[program][comparison]") {
  at::Tensor x = floats({2}, {1, 2}).tensor();
  at::Tensor y = floats({}, {3}).tensor();
  x.requires_grad_(true);
  y.requires_grad_(true);
  const auto out = run_op({.op = "Where"}, {integers(DType::Bool, {2}, {1, 0}), Value(x), Value(y)});
  CHECK(to_floats(out[0]) == std::vector<float>{1, 3});
  out[0].tensor().sum().backward();
  CHECK(to_floats(Value(x.grad())) == std::vector<float>{1, 0});
  CHECK(to_floats(Value(y.grad())) == std::vector<float>{1});
}

TEST_CASE("comparisons with NaN are false", "[program][comparison]") {
  const Value a = floats({2}, {NAN, 1});
  const Value b = floats({2}, {1, NAN});
  for (const char* op : {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}) {
    CHECK(to_integers(run_op({.op = op}, {a, b})[0]) == std::vector<int64_t>{0, 0});
  }
}
