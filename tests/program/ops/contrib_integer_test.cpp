// Recorded from ONNX Runtime 1.31.1 on the CPU, optimisations off. Weights stay within 7 bits: on processors without VNNI its kernels
// for uint8 times int8 saturate sums of two products at 16 bits (docs/design.md).
#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("QLinearConv of com.microsoft takes its channels last", "[program][contrib]") {
  const OneNode node{.op = "QLinearConv", .opset = 1, .attributes = {{"channels_last", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {1, 2, 2, 2}, {171, 206, 5, 206, 120, 131, 161, 73}), floats({}, {0.02}), integers(DType::UInt8, {}, {120}), integers(DType::Int8, {2, 2, 1, 1}, {62, -58, -29, -15}), floats({2}, {0.01, 0.02}), integers(DType::Int8, {2}, {0, 0}), floats({}, {0.05}), integers(DType::UInt8, {}, {100}), integers(DType::Int32, {2}, {30, -7})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{93, 78, 52, 116, 98, 99, 121, 96});
}

TEST_CASE("NhwcMaxPool takes maxima of integers with channels last", "[program][contrib]") {
  const OneNode node{.op = "NhwcMaxPool", .opset = 1, .attributes = {{"kernel_shape", "", std::vector<int64_t>{2, 2}}, {"strides", "", std::vector<int64_t>{1, 1}}, {"pads", "", std::vector<int64_t>{0, 0, 0, 1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {1, 3, 2, 2}, {146, 104, 33, 11, 0, 12, 38, 255, 48, 167, 192, 60})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{146, 255, 38, 255, 192, 255, 192, 255});
}

TEST_CASE("QLinearWhere chooses real values", "[program][contrib]") {
  const OneNode node{.op = "QLinearWhere", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::Bool, {2, 1}, {1, 0}), integers(DType::UInt8, {2, 2}, {72, 111, 67, 249}), floats({}, {0.1}), integers(DType::UInt8, {}, {120}), integers(DType::UInt8, {1, 2}, {45, 229}), floats({}, {0.2}), integers(DType::UInt8, {}, {100}), floats({}, {0.13}), integers(DType::UInt8, {}, {90})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{53, 83, 5, 255});
}

TEST_CASE("QAttention is attention of its dequantised projection", "[program][contrib]") {
  const OneNode node{.op = "QAttention", .opset = 1, .attributes = {{"num_heads", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {1, 3, 2}, {204, 216, 29, 100, 160, 126}), integers(DType::Int8, {2, 6}, {21, 23, 21, -57, 59, 7, 52, -29, -18, 49, -40, -56}), floats({6}, {0.41, 0.83, -1.64, -0.26, -0.98, -0.17}), floats({}, {0.02}), floats({6}, {0.07, 0.01, 0.01, 0.03, 0.06, 0.03}), integers(DType::Int32, {1}, {2}), integers(DType::UInt8, {}, {100}), integers(DType::Int8, {6}, {0, 0, 0, 0, 0, 0})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.412661, -3.06158, -4.53762, -1.1493, -3.92988, -1.43104}));
}

TEST_CASE("QAttention continues a past", "[program][contrib]") {
  const OneNode node{.op = "QAttention", .opset = 1, .attributes = {{"num_heads", "", int64_t{1}}, {"unidirectional", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {1, 2, 2}, {75, 206, 39, 81}), integers(DType::Int8, {2, 6}, {-49, -45, -28, 26, 10, -7, -43, 39, 39, -34, -57, -23}), floats({6}, {-1.1, 0.03, 0.04, -1.99, -0.23, -0.26}), floats({}, {0.02}), floats({}, {0.03}), Value(), integers(DType::UInt8, {}, {100}), integers(DType::Int8, {}, {0}), floats({2, 1, 1, 1, 2}, {0.96, -1.18, 0.74, -1.1})}, 2);
  CHECK_THAT(to_floats(out[0]), close_to({0.739968, -1.1, -0.245181, -0.991426}));
  CHECK_THAT(to_floats(out[1]), close_to({0.96, -1.18, 2.9404, -4.5424, 0.6202, -2.554, 0.74, -1.1, -4.0052, -1.6178, 0.0538, 0.2584}));
}

TEST_CASE("QEmbedLayerNormalization looks up integers and counts the words", "[program][contrib]") {
  const OneNode node{.op = "QEmbedLayerNormalization", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::Int32, {1, 3}, {2, 0, 1}), integers(DType::Int32, {1, 3}, {0, 1, 1}), integers(DType::UInt8, {3, 2}, {173, 102, 53, 239, 68, 142}), integers(DType::UInt8, {3, 2}, {172, 61, 80, 189, 50, 172}), integers(DType::UInt8, {2, 2}, {241, 175, 165, 118}), integers(DType::UInt8, {2}, {247, 56}), integers(DType::UInt8, {2}, {91, 164}), integers(DType::Int32, {1, 3}, {1, 1, 0}), floats({}, {0.02}), floats({}, {0.03}), floats({}, {0.01}), floats({}, {0.01}), floats({}, {0.02}), integers(DType::UInt8, {}, {120}), integers(DType::UInt8, {}, {100}), integers(DType::UInt8, {}, {99}), integers(DType::UInt8, {}, {3}), integers(DType::UInt8, {}, {130})}, 2);
  CHECK_THAT(to_floats(out[0]), close_to({1.66, 0.15, -3.22, 1.21, -3.22, 1.21}));
  CHECK(to_integers(out[1]) == std::vector<int64_t>{2});
}

TEST_CASE("GatherBlockQuantized unpacks the rows that it gathers, and gives zeros out of range", "[program][contrib]") {
  const OneNode node{.op = "GatherBlockQuantized", .opset = 1, .attributes = {{"bits", "", int64_t{4}}, {"block_size", "", int64_t{16}}, {"gather_axis", "", int64_t{0}}, {"quantize_axis", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {2, 8}, {167, 27, 41, 177, 215, 162, 238, 96, 84, 204, 10, 49, 49, 99, 40, 204}), integers(DType::Int64, {2, 2}, {1, -1, 0, 5}), floats({2, 1}, {0.1, -0.86}), integers(DType::UInt8, {2, 1}, {27, 156})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({6.88, 6.02, -0, -0, 1.72, 10.32, 9.46, 7.74, 9.46, 7.74, 7.74, 5.16, 3.44, 8.6, -0, -0, 6.88, 6.02, -0, -0, 1.72, 10.32, 9.46, 7.74, 9.46, 7.74, 7.74, 5.16, 3.44, 8.6, -0, -0, -0.4, -0.1, 0, -1, -0.2, -0.9, -1, 0, -0.4, 0.2, -0.9, -0.1, 0.3, 0.3, -1.1, -0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_CASE("MatMulBnb4 reads NF4 codes, high bits first", "[program][contrib]") {
  const OneNode node{.op = "MatMulBnb4", .opset = 1, .attributes = {{"K", "", int64_t{16}}, {"N", "", int64_t{2}}, {"block_size", "", int64_t{16}}, {"quant_type", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 16}, {-1.3, -1.2, -1.28, 0.97, -0.36, -0.97, -1.14, 0.42, -1.05, -1.27, 0.61, -1.2, -0.32, -0.01, -0.45, -0.05}), integers(DType::UInt8, {16}, {144, 239, 157, 236, 148, 83, 82, 253, 150, 48, 212, 210, 2, 40, 177, 103}), floats({2}, {0.5, 2})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.0338198, -0.224299}));
}

TEST_CASE("MatMulBnb4 reads FP4 codes", "[program][contrib]") {
  const OneNode node{.op = "MatMulBnb4", .opset = 1, .attributes = {{"K", "", int64_t{16}}, {"N", "", int64_t{2}}, {"block_size", "", int64_t{16}}, {"quant_type", "", int64_t{0}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 16}, {-0.48, -0.72, -0.52, 0.16, -0.38, 0.1, 1.9, 0.48, -1.58, 1.73, 0.35, -0.94, 0.91, 0.02, -0.62, -0.63}), integers(DType::UInt8, {16}, {60, 237, 121, 227, 48, 123, 88, 116, 3, 170, 88, 219, 54, 86, 11, 203}), floats({2}, {0.5, 2})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.31401, -5.11333}));
}

TEST_CASE("MatMulInteger16 sums in 32 bits", "[program][contrib]") {
  const OneNode node{.op = "MatMulInteger16", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::Int16, {1, 2}, {300, -200}), integers(DType::Int16, {2, 2}, {-300, 2, 20, 30000})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{-94000, -5999400});
}

TEST_CASE("QLinearGlobalAveragePool rounds an exact sum", "[program][contrib]") {
  const OneNode node{.op = "QLinearGlobalAveragePool", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {1, 2, 2, 2}, {101, 102, 104, 104, 0, 255, 3, 4}), floats({}, {0.1}), integers(DType::UInt8, {}, {100}), floats({}, {0.05}), integers(DType::UInt8, {}, {90})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{96, 21});
}

TEST_CASE("QGemm takes a zero point for each column of a transposed weight that is no square", "[program][contrib]") {
  const OneNode node{.op = "QGemm", .opset = 1, .attributes = {{"transB", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::UInt8, {1, 3}, {136, 102, 234}), floats({}, {0.021}), integers(DType::UInt8, {}, {120}), integers(DType::Int8, {2, 3}, {12, 60, 31, 11, 0, -38}), floats({2}, {0.01, 0.02}), integers(DType::Int8, {2}, {0, 0}), integers(DType::Int32, {2}, {30, -7}), floats({}, {0.07}), integers(DType::UInt8, {}, {100})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{108, 75});
}

TEST_CASE("QLinearAdd rounds halves with an odd zero point in the sum", "[program][contrib]") {
  const OneNode node{.op = "QLinearAdd", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::Int8, {4}, {10, 11, 12, 13}), floats({}, {0.05}), integers(DType::Int8, {}, {10}), integers(DType::Int8, {4}, {-20, -18, -17, -16}), floats({}, {0.025}), integers(DType::Int8, {}, {-20}), floats({}, {0.1}), integers(DType::Int8, {}, {9})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{9, 10, 11, 12});
}

TEST_CASE("QLinearMul rounds halves with an odd zero point in the product", "[program][contrib]") {
  const OneNode node{.op = "QLinearMul", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::Int8, {4}, {10, 11, 12, 13}), floats({}, {0.5}), integers(DType::Int8, {}, {10}), integers(DType::Int8, {4}, {-18, -19, -17, -19}), floats({}, {0.25}), integers(DType::Int8, {}, {-20}), floats({}, {0.25}), integers(DType::Int8, {}, {9})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{9, 10, 12, 10});
}

