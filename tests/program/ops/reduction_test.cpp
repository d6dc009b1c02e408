#include <cmath>
#include <limits>

#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const Attribute kNoop{"noop_with_empty_axes", "", int64_t{1}};

}  // namespace

TEST_CASE("reductions over no elements give the neutral element", "[program][reduction]") {
  const Value empty = floats({2, 0}, {});
  const Value axes = integers(DType::Int64, {1}, {1});
  const auto of = [&](const std::string& op) { return to_floats(run_op({.op = op}, {empty, axes})[0]).at(1); };
  CHECK(of("ReduceSum") == 0);
  CHECK(of("ReduceProd") == 1);
  CHECK(of("ReduceMax") == -kInfinity);
  CHECK(of("ReduceMin") == kInfinity);
  CHECK(of("ReduceLogSum") == -kInfinity);
  CHECK(of("ReduceLogSumExp") == -kInfinity);
  CHECK(of("ReduceL2") == 0);
  const auto lowest = run_op({.op = "ReduceMax"}, {integers(DType::UInt8, {0}, {}), integers(DType::Int64, {1}, {0})});
  CHECK(to_integers(lowest[0]) == std::vector<int64_t>{0});
}

TEST_CASE("no axes and noop_with_empty_axes leave only the elementwise part", "[program][reduction]") {
  const Value x = floats({2}, {-3, 2});
  const auto of = [&](const std::string& op) { return to_floats(run_op({.op = op, .attributes = {kNoop}}, {x})[0]); };
  CHECK(of("ReduceSum") == std::vector<float>{-3, 2});
  CHECK(of("ReduceSumSquare") == std::vector<float>{9, 4});
  CHECK(of("ReduceL1") == std::vector<float>{3, 2});
  CHECK(of("ReduceLogSumExp") == std::vector<float>{-3, 2});
}

TEST_CASE("axes come from the attribute in old models and from the input in new ones", "[program][reduction]") {
  const Value x = floats({2, 2}, {1, 2, 3, 4});
  const OneNode old{.op = "ReduceMean", .opset = 13, .attributes = {{"axes", "", std::vector<int64_t>{-1}}}};
  CHECK(to_floats(run_op(old, {x})[0]) == std::vector<float>{1.5F, 3.5F});
  const OneNode now{.op = "ReduceMean", .opset = 18, .attributes = {{"keepdims", "", int64_t{0}}}};
  const auto out = run_op(now, {x, integers(DType::Int64, {1}, {0})});
  CHECK(out[0].tensor().dim() == 1);
  CHECK(to_floats(out[0]) == std::vector<float>{2, 3});
}

TEST_CASE("integer reductions keep their type and truncate", "[program][reduction]") {
  const Value x = integers(DType::Int32, {3}, {-3, 1, -2});
  CHECK(to_integers(run_op({.op = "ReduceMean"}, {x})[0]) == std::vector<int64_t>{-1});
  CHECK(to_integers(run_op({.op = "ReduceL2"}, {x})[0]) == std::vector<int64_t>{3});
  CHECK(to_integers(run_op({.op = "ReduceProd"}, {x})[0]) == std::vector<int64_t>{6});
  const auto huge = run_op({.op = "ReduceMax"}, {integers(DType::UInt64, {2}, {-1, 7})});
  CHECK(huge[0].type() == DType::UInt64);
  CHECK(to_integers(huge[0]) == std::vector<int64_t>{-1});
}

TEST_CASE("ReduceL2 has the gradient 0 at the origin", "[program][reduction]") {
  at::Tensor x = floats({2}, {0, 0}).tensor();
  x.requires_grad_(true);
  run_op({.op = "ReduceL2"}, {Value(x)})[0].tensor().sum().backward();
  CHECK(to_floats(Value(x.grad())) == std::vector<float>{0, 0});
}

TEST_CASE("ArgMax picks the first or the last of equal values", "[program][reduction]") {
  const Value x = floats({1, 4}, {1, 5, 5, 2});
  const Attribute axis{"axis", "", int64_t{1}};
  CHECK(to_integers(run_op({.op = "ArgMax", .attributes = {axis}}, {x})[0]) == std::vector<int64_t>{1});
  CHECK(to_integers(run_op({.op = "ArgMax", .attributes = {axis, {"select_last_index", "", int64_t{1}}}}, {x})[0]) ==
        std::vector<int64_t>{2});
}

TEST_CASE("CumSum and CumProd run backwards and exclude", "[program][reduction]") {
  const Value x = floats({3}, {1, 2, 3});
  const Value axis = integers(DType::Int32, {}, {0});
  const Attribute reverse{"reverse", "", int64_t{1}};
  const Attribute exclusive{"exclusive", "", int64_t{1}};
  CHECK(to_floats(run_op({.op = "CumSum", .attributes = {exclusive, reverse}}, {x, axis})[0]) == std::vector<float>{5, 3, 0});
  CHECK(to_floats(run_op({.op = "CumProd", .opset = 26, .attributes = {exclusive}}, {x, axis})[0]) ==
        std::vector<float>{1, 1, 2});
}
