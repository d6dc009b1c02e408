#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("MatMul drops the axis that it added to a vector", "[program][matmul]") {
  const Value row = floats({2}, {1, 2});
  const Value matrix = floats({2, 2}, {1, 2, 3, 4});
  const auto product = [](const Value& left, const Value& right) {
    return run_op({.op = "MatMul"}, {left, right})[0];
  };
  CHECK(to_floats(product(row, row)) == std::vector<float>{5});
  CHECK(product(row, row).tensor().dim() == 0);
  CHECK(to_floats(product(row, matrix)) == std::vector<float>{7, 10});
  CHECK(to_floats(product(matrix, row)) == std::vector<float>{5, 11});
}

TEST_CASE("integer products keep their type and wrap", "[program][matmul]") {
  const Value left = integers(DType::UInt32, {1, 2}, {4000000000, 2});
  const Value right = integers(DType::UInt32, {2, 1}, {2, 3});
  const auto out = run_op({.op = "MatMul"}, {left, right});
  CHECK(out[0].type() == DType::UInt32);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{8000000006 % 4294967296});
}

TEST_CASE("Gemm adds a column to every column", "[program][matmul]") {
  const OneNode node{
      .op = "Gemm",
      .attributes = {{"alpha", "", 2.0F}, {"beta", "", 0.5F}, {"transB", "", int64_t{1}}}};
  const auto out =
      run_op(node, {floats({2, 1}, {1, 2}), floats({2, 1}, {3, 4}), floats({2, 1}, {10, 20})});
  CHECK(to_floats(out[0]) == std::vector<float>{11, 13, 22, 26});
}
