#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("QuantizeLinear rounds ties to even and saturates", "[program][quantization]") {
  const Value x = floats({6}, {0.5F, 1.5F, 2.5F, -0.5F, 1000, -1000});
  const auto signed_out = run_op({.op = "QuantizeLinear"}, {x, floats({}, {1}), integers(DType::Int8, {}, {0})});
  CHECK(to_integers(signed_out[0]) == std::vector<int64_t>{0, 2, 2, 0, 127, -128});
  const auto small = run_op({.op = "QuantizeLinear"}, {x, floats({}, {1}), integers(DType::UInt4, {}, {3})});
  CHECK(small[0].type() == DType::UInt4);
  CHECK(to_integers(small[0]) == std::vector<int64_t>{3, 5, 5, 3, 15, 0});
}

TEST_CASE("scales go by axis or by block, the last one possibly short", "[program][quantization]") {
  const Value x = integers(DType::Int8, {2, 3}, {1, 2, 3, 4, 5, 6});
  const OneNode by_axis{.op = "DequantizeLinear", .attributes = {{"axis", "", int64_t{-2}}}};
  CHECK(to_floats(run_op(by_axis, {x, floats({2}, {2, 10})})[0]) == std::vector<float>{2, 4, 6, 40, 50, 60});
  const OneNode by_block{.op = "DequantizeLinear", .attributes = {{"axis", "", int64_t{1}}, {"block_size", "", int64_t{2}}}};
  const auto out = run_op(by_block, {x, floats({2, 2}, {1, 10, 100, 1000}), integers(DType::Int8, {2, 2}, {1, 1, 0, 0})});
  CHECK(to_floats(out[0]) == std::vector<float>{0, 1, 20, 400, 500, 6000});
  CHECK_THROWS_AS(run_op(by_axis, {x, floats({3}, {1, 2, 3})}), ResourceError);
}

TEST_CASE("quantising and dequantising passes the gradient straight through inside the range", "[program][quantization]") {
  at::Tensor x = floats({3}, {0.3F, 100, -100}).tensor();
  x.requires_grad_(true);
  at::Tensor scale = floats({}, {0.5F}).tensor();
  scale.requires_grad_(true);
  const Value zero = integers(DType::Int8, {}, {0});
  const auto q = run_op({.op = "QuantizeLinear"}, {Value(x), Value(scale), zero});
  CHECK(to_integers(q[0]) == std::vector<int64_t>{1, 127, -128});
  const auto y = run_op({.op = "DequantizeLinear"}, {q[0], Value(scale), zero});
  CHECK(to_floats(y[0]) == std::vector<float>{0.5F, 63.5F, -64});
  y[0].tensor().sum().backward();
  CHECK(to_floats(Value(x.grad())) == std::vector<float>{1, 0, 0});
  // round(x / s) - x / s inside, the bound outside (learned step size quantisation): 1 - 0.6 + 127 - 128
  CHECK(to_floats(Value(scale.grad()))[0] == Approx(-0.6).margin(1e-5));
}

TEST_CASE("DynamicQuantizeLinear covers zero and survives a constant zero", "[program][quantization]") {
  const auto out = run_op({.op = "DynamicQuantizeLinear"}, {floats({3}, {0, 2.55F, 1.275F})}, 3);
  CHECK(to_floats(out[1])[0] == Approx(0.01));
  CHECK(to_integers(out[0])[1] == 255);
  const auto zeros = run_op({.op = "DynamicQuantizeLinear"}, {floats({2}, {0, 0})}, 3);
  CHECK(to_integers(zeros[0]) == std::vector<int64_t>{0, 0});
}

TEST_CASE("casts from floats truncate and wrap", "[program][cast]") {
  const auto to = [](DType type) { return std::vector<Attribute>{{"to", "", static_cast<int64_t>(type)}}; };
  const Value x = floats({4}, {-1.9F, 1.9F, 300, -1});
  CHECK(to_integers(run_op({.op = "Cast", .attributes = to(DType::Int32)}, {x})[0]) == std::vector<int64_t>{-1, 1, 300, -1});
  CHECK(to_integers(run_op({.op = "Cast", .attributes = to(DType::UInt8)}, {x})[0]) == std::vector<int64_t>{255, 1, 44, 255});
  CHECK(to_integers(run_op({.op = "Cast", .attributes = to(DType::UInt64)}, {floats({1}, {0x1p63F})})[0]) ==
        std::vector<int64_t>{std::numeric_limits<int64_t>::min()});
  CHECK(to_floats(run_op({.op = "Cast", .attributes = to(DType::Float32)}, {integers(DType::UInt64, {1}, {-1})})[0]) ==
        std::vector<float>{0x1p64F});
}

TEST_CASE("strings become numbers and back", "[program][cast]") {
  const auto to = [](DType type) { return std::vector<Attribute>{{"to", "", static_cast<int64_t>(type)}}; };
  const Value text = Value::of_strings(HostTensor::of_strings({5}, {"3.14", "1e-5", "+INF", "nan", "-inf"}));
  const auto numbers = to_floats(run_op({.op = "Cast", .attributes = to(DType::Float32)}, {text})[0]);
  CHECK(numbers[0] == 3.14F);
  CHECK(numbers[1] == 1e-5F);
  CHECK(numbers[2] == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(numbers[3]));
  CHECK(numbers[4] == -std::numeric_limits<float>::infinity());
  const auto back = run_op({.op = "Cast", .attributes = to(DType::String)}, {floats({2}, {0.1F, -INFINITY})});
  CHECK(back[0].strings().strings() == std::vector<std::string>{"0.1", "-INF"});
  const Value word = Value::of_strings(HostTensor::of_strings({1}, {"seven"}));
  CHECK_THROWS_AS(run_op({.op = "Cast", .attributes = to(DType::Float32)}, {word}), ResourceError);
}

TEST_CASE("float8 casts saturate unless told not to", "[program][cast]") {
  const Value x = floats({3}, {1000, -1000, 17});
  const Attribute to{"to", "", static_cast<int64_t>(DType::Float8E4M3FN)};
  CHECK(to_floats(run_op({.op = "Cast", .attributes = {to}}, {x})[0]) == std::vector<float>{448, -448, 16});
  CHECK(std::isnan(to_floats(run_op({.op = "Cast", .attributes = {to, {"saturate", "", int64_t{0}}}}, {x})[0])[0]));
}
