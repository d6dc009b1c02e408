#include <cmath>
#include <limits>

#include "base/error.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

constexpr int64_t kLowest32 = std::numeric_limits<int32_t>::min();

std::vector<int64_t> on_integers(const OneNode& node, DType type, const std::vector<int64_t>& a,
                                 const std::vector<int64_t>& b) {
  const auto size = [](const std::vector<int64_t>& values) { return static_cast<int64_t>(values.size()); };
  const auto out = run_op(node, {integers(type, {size(a)}, a), integers(type, {size(b)}, b)});
  CHECK(out[0].type() == type);
  return to_integers(out[0]);
}

}  // namespace

TEST_CASE("Div of integers truncates towards zero", "[program][arithmetic]") {
  CHECK(on_integers({.op = "Div"}, DType::Int32, {7, -7, 7, -7}, {2, 2, -2, -2}) == std::vector<int64_t>{3, -3, -3, 3});
}

TEST_CASE("Div and Mod survive the quotient that overflows", "[program][arithmetic]") {
  CHECK(on_integers({.op = "Div"}, DType::Int32, {kLowest32}, {-1}) == std::vector<int64_t>{kLowest32});
  CHECK(on_integers({.op = "Mod"}, DType::Int32, {kLowest32}, {-1}) == std::vector<int64_t>{0});
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  CHECK(on_integers({.op = "Div"}, DType::Int64, {lowest}, {-1}) == std::vector<int64_t>{lowest});
  CHECK(on_integers({.op = "Mod"}, DType::Int64, {lowest}, {-1}) == std::vector<int64_t>{0});
}

TEST_CASE("an integer divided by zero is an error that names the node", "[program][arithmetic]") {
  CHECK_THROWS_AS(on_integers({.op = "Div"}, DType::Int64, {1}, {0}), ResourceError);
  CHECK_THROWS_AS(on_integers({.op = "Mod"}, DType::UInt64, {1}, {0}), ResourceError);
}

TEST_CASE("a float divided by zero is infinite, with the sign of the zero", "[program][arithmetic]") {
  const auto out = to_floats(run_op({.op = "Div"}, {floats({2}, {1, 1}), floats({2}, {0.0F, -0.0F})})[0]);
  CHECK(out[0] == std::numeric_limits<float>::infinity());
  CHECK(out[1] == -std::numeric_limits<float>::infinity());
}

TEST_CASE("Mod takes the sign of the divisor, or of the dividend with fmod", "[program][arithmetic]") {
  CHECK(on_integers({.op = "Mod"}, DType::Int8, {-7, 7}, {3, -3}) == std::vector<int64_t>{2, -2});
  CHECK(on_integers({.op = "Mod", .attributes = {{"fmod", "", int64_t{1}}}}, DType::Int8, {-7, 7}, {3, -3}) ==
        std::vector<int64_t>{-1, 1});
}

TEST_CASE("uint64 values beyond the signed range keep their order and quotient", "[program][arithmetic]") {
  const int64_t huge = -2;  // 2^64 - 2
  CHECK(on_integers({.op = "Div"}, DType::UInt64, {huge}, {2}) == std::vector<int64_t>{0x7FFFFFFFFFFFFFFF});
  CHECK(on_integers({.op = "Max"}, DType::UInt64, {huge}, {5}) == std::vector<int64_t>{huge});
  CHECK(on_integers({.op = "Min"}, DType::UInt64, {huge}, {5}) == std::vector<int64_t>{5});
  const auto less = run_op({.op = "Less"}, {integers(DType::UInt64, {1}, {5}), integers(DType::UInt64, {1}, {huge})});
  CHECK(to_integers(less[0]) == std::vector<int64_t>{1});
}

TEST_CASE("integers of one type are broadcast and wrap in their own width", "[program][arithmetic]") {
  const auto out = run_op({.op = "Add"}, {integers(DType::UInt16, {2, 1}, {65535, 1}), integers(DType::UInt16, {2}, {1, 2})});
  CHECK(out[0].type() == DType::UInt16);
  CHECK(out[0].tensor().sizes().vec() == std::vector<int64_t>{2, 2});
  CHECK(to_integers(out[0]) == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(on_integers({.op = "Mul"}, DType::UInt8, {200}, {2}) == std::vector<int64_t>{144});
}

TEST_CASE("Pow keeps the type of the base", "[program][arithmetic]") {
  const auto integer_base = run_op({.op = "Pow"}, {integers(DType::Int32, {3}, {2, 3, 4}), floats({3}, {3, 2, 0.5F})});
  CHECK(integer_base[0].type() == DType::Int32);
  CHECK(to_integers(integer_base[0]) == std::vector<int64_t>{8, 9, 2});
  const auto float_base = run_op({.op = "Pow"}, {floats({2}, {2, 0.5F}), integers(DType::Int64, {}, {-1})});
  CHECK(to_floats(float_base[0]) == std::vector<float>{0.5F, 2});
  const auto negative = run_op({.op = "Pow"}, {integers(DType::Int64, {3}, {0, -1, 5}), integers(DType::Int64, {1}, {-1})});
  CHECK(to_integers(negative[0])[1] == -1);
}

TEST_CASE("Clip prefers max over min and ignores absent bounds", "[program][arithmetic]") {
  const Value x = floats({3}, {-5, 0, 5});
  CHECK(to_floats(run_op({.op = "Clip"}, {x, floats({}, {2}), floats({}, {1})})[0]) == std::vector<float>{1, 1, 1});
  CHECK(to_floats(run_op({.op = "Clip"}, {x, Value(), floats({}, {1})})[0]) == std::vector<float>{-5, 0, 1});
  CHECK(to_floats(run_op({.op = "Clip"}, {x})[0]) == std::vector<float>{-5, 0, 5});
  CHECK(to_floats(run_op({.op = "Clip", .opset = 6, .attributes = {{"min", "", -1.0F}}}, {x})[0]) ==
        std::vector<float>{-1, 0, 5});
}

TEST_CASE("BitShift by the width or more leaves nothing", "[program][bitwise]") {
  const OneNode left{.op = "BitShift", .attributes = {{"direction", "", std::string("LEFT")}}};
  const OneNode right{.op = "BitShift", .attributes = {{"direction", "", std::string("RIGHT")}}};
  CHECK(on_integers(left, DType::UInt8, {1, 255, 3}, {1, 4, 8}) == std::vector<int64_t>{2, 240, 0});
  CHECK(on_integers(left, DType::UInt16, {1, 0xFFFF}, {16, 4}) == std::vector<int64_t>{0, 0xFFF0});
  CHECK(on_integers(right, DType::UInt64, {-1, 8}, {63, 64}) == std::vector<int64_t>{1, 0});
  CHECK(on_integers(right, DType::UInt32, {0xFFFFFFFF}, {31}) == std::vector<int64_t>{1});
}
