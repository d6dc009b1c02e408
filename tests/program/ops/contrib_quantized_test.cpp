// Recorded from ONNX Runtime 1.31.1 on the CPU, optimisations off.
#include <cmath>

#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("QLinearAdd adds real values", "[program][contrib]") {
  const OneNode node{.op = "QLinearAdd", .opset = 1, .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {integers(DType::UInt8, {4}, {125, 113, 62, 15}), floats({}, {0.1}),
              integers(DType::UInt8, {}, {120}), integers(DType::UInt8, {4}, {36, 174, 148, 63}),
              floats({}, {0.2}), integers(DType::UInt8, {}, {100}), floats({}, {0.25}),
              integers(DType::UInt8, {}, {128})},
             1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{79, 184, 143, 56});
}

TEST_CASE("QLinearMul multiplies real values", "[program][contrib]") {
  const OneNode node{.op = "QLinearMul", .opset = 1, .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {integers(DType::UInt8, {4}, {92, 164, 97, 96}), floats({}, {0.1}),
              integers(DType::UInt8, {}, {120}), integers(DType::UInt8, {4}, {69, 163, 227, 66}),
              floats({}, {0.2}), integers(DType::UInt8, {}, {100}), floats({}, {1.5}),
              integers(DType::UInt8, {}, {128})},
             1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{140, 165, 89, 139});
}

TEST_CASE("DynamicQuantizeMatMul quantises A with its own range", "[program][contrib]") {
  const OneNode node{.op = "DynamicQuantizeMatMul", .opset = 1, .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({2, 3}, {-1.1, -0.1, 0, 1.3, 1.9, -0.1}),
              integers(DType::Int8, {3, 2}, {3, -50, 20, 7, -9, 31}), floats({}, {0.02}),
              integers(DType::Int8, {}, {0}), floats({2}, {-0.8, -0.1})},
             1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.904, 0.992706, 0.0522353, -1.18729}));
}

TEST_CASE("MatMulIntegerToFloat scales the integer product", "[program][contrib]") {
  const OneNode node{.op = "MatMulIntegerToFloat", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(
      node,
      {integers(DType::UInt8, {1, 3}, {101, 17, 164}),
       integers(DType::Int8, {3, 2}, {3, -50, 20, 7, -9, 31}), floats({}, {0.02}),
       floats({}, {0.03}), integers(DType::UInt8, {}, {120}), integers(DType::Int8, {}, {2})},
      1);
  CHECK_THAT(to_floats(out[0]), close_to({-1.4142, 1.0494}));
}

TEST_CASE("MatMulNBits takes two weights from a byte, low bits first", "[program][contrib]") {
  const OneNode node{.op = "MatMulNBits",
                     .opset = 1,
                     .attributes = {{"K", "", int64_t{16}},
                                    {"N", "", int64_t{2}},
                                    {"bits", "", int64_t{4}},
                                    {"block_size", "", int64_t{16}}},
                     .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({1, 16}, {-0.1, -1, 0.6, -0.1, 0.3, -0.2, -0.7, -0.9, -0.2, -0.5, 0.2, 0, -1.4,
                               0.1, -1.3, -0.6}),
              integers(DType::UInt8, {2, 1, 8},
                       {108, 17, 36, 98, 112, 59, 163, 127, 34, 210, 35, 92, 44, 241, 72, 221}),
              floats({2, 1}, {-0.3, -0.6}), integers(DType::UInt8, {2, 1}, {7, 9})},
             1);
  CHECK_THAT(to_floats(out[0]), close_to({0.0899999, 0.719999}));
}

TEST_CASE("QGemm multiplies integers exactly and adds its bias in steps of the product", "[program][contrib]") {
  const OneNode node{.op = "QGemm", .opset = 1, .attributes = {{"transB", "", int64_t{1}}}, .domain = "com.microsoft"};
  const std::vector<Value> operands{integers(DType::UInt8, {1, 2}, {130, 126}), floats({}, {0.5}), integers(DType::UInt8, {}, {128}),
                                    integers(DType::Int8, {2, 2}, {3, 1, -2, 4}), floats({2}, {0.25, 0.5}), integers(DType::Int8, {2}, {1, 0}),
                                    integers(DType::Int32, {2}, {6, -1})};
  const auto sums = run_op(node, operands, 1);
  // (2, -2) by (3 - 1, 1 - 1) is 4, by (-2, 4) is -12; with the bias 10 and -13 steps of 0.125 and 0.25.
  CHECK(to_floats(sums[0]) == std::vector<float>{1.25F, -3.25F});

  std::vector<Value> to_integer = operands;
  to_integer.push_back(floats({}, {0.5}));
  to_integer.push_back(integers(DType::UInt8, {}, {3}));
  CHECK(to_integers(run_op(node, to_integer, 1)[0]) == std::vector<int64_t>{5, 0});  // 2.5 rounds to even; -6.5 saturates
}

TEST_CASE("QLinearAveragePool averages real values in both layouts", "[program][contrib]") {
  OneNode node{.op = "QLinearAveragePool", .opset = 1, .attributes = {{"kernel_shape", "", std::vector<int64_t>{1, 2}}}, .domain = "com.microsoft"};
  const auto pooled = [&](const std::vector<int64_t>& shape) {
    return to_integers(run_op(node, {integers(DType::UInt8, shape, {10, 20, 40}), floats({}, {0.5}), integers(DType::UInt8, {}, {0}),
                                     floats({}, {0.25}), integers(DType::UInt8, {}, {1})}, 1)[0]);
  };
  CHECK(pooled({1, 1, 1, 3}) == std::vector<int64_t>{31, 61});  // 7.5 and 15 in steps of 0.25, from 1
  node.attributes.push_back({"channels_last", "", int64_t{1}});
  CHECK(pooled({1, 1, 3, 1}) == std::vector<int64_t>{31, 61});
}

TEST_CASE("DynamicQuantizeLSTM is the LSTM of its dequantised weights when its inputs need no rounding", "[program][contrib]") {
  // One unit, one input of 0 or 255 quanta, so that nothing is rounded: gates i, o, f, c = sigmoid or tanh of x * w.
  const OneNode node{.op = "DynamicQuantizeLSTM", .opset = 1, .attributes = {{"hidden_size", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({1, 1, 1}, {1}), integers(DType::Int8, {1, 1, 4}, {2, 4, -2, 1}), integers(DType::Int8, {1, 1, 4}, {0, 0, 0, 0}),
                           Value(), Value(), Value(), Value(), Value(), floats({1}, {0.5}), integers(DType::Int8, {1}, {0}), floats({1}, {0.5}),
                           integers(DType::Int8, {1}, {0})},
                          3);
  const float c = 1 / (1 + std::exp(-1.0F)) * std::tanh(0.5F);
  CHECK_THAT(to_floats(out[2]), close_to({c}));
  CHECK_THAT(to_floats(out[1]), close_to({1 / (1 + std::exp(-2.0F)) * std::tanh(c)}));
  CHECK_THAT(to_floats(out[0]), close_to(to_floats(out[1])));
}
