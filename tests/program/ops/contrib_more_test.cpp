// Recorded from ONNX Runtime 1.31.1 on the CPU, optimisations off.
#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("DecoderMaskedMultiHeadAttention appends one step to a buffer that it shares", "[program][contrib]") {
  const OneNode node{.op = "DecoderMaskedMultiHeadAttention", .opset = 1, .attributes = {{"num_heads", "", int64_t{1}}, {"past_present_share_buffer", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 2}, {-0.8, -1.32}), floats({1, 1, 2}, {-0.25, 0.42}), floats({1, 1, 2}, {1.14, 0.11}), integers(DType::Int32, {1, 3}, {1, 0, 1}), Value(), floats({1, 1, 4, 2}, {-0.55, -0.78, 0.75, 1.63, 0.27, -1.23, -0.96, 1.6}), floats({1, 1, 4, 2}, {0.2, -1.73, -0.08, -1.16, -0.63, -0.49, -0.71, 0.55}), integers(DType::Int32, {1}, {2}), integers(DType::Int32, {1}, {1}), Value(), floats({6}, {-0.06, -0.59, 0.41, 0.83, -1.64, -0.26})}, 3);
  CHECK_THAT(to_floats(out[0]), close_to({0.171875, -1.66652}));
  CHECK_THAT(to_floats(out[1]), close_to({-0.55, -0.78, 0.75, 1.63, 0.16, 1.25, -0.96, 1.6}));
  CHECK_THAT(to_floats(out[2]), close_to({0.2, -1.73, -0.08, -1.16, -0.5, -0.15, -0.71, 0.55}));
}

TEST_CASE("DecoderMaskedMultiHeadAttention reads a projected memory", "[program][contrib]") {
  const OneNode node{.op = "DecoderMaskedMultiHeadAttention", .opset = 1, .attributes = {{"num_heads", "", int64_t{2}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 4}, {-0.98, -0.17, -1.29, 0.02}), floats({1, 2, 3, 2}, {-0.04, -0.3, -1.05, -0.4, -1.09, -1.36, 0.22, -1.11, 1.17, 0.72, -2, 0.27}), floats({1, 2, 3, 2}, {-1.1, 0.03, 0.04, -1.99, -0.23, -0.26, 0.96, -1.18, 0.74, -1.1, -0.33, -0.84})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.289334, -0.860361, -0.138711, -0.88938}));
}

TEST_CASE("MRotaryEmbedding takes three positions in turn", "[program][contrib]") {
  const OneNode node{.op = "MRotaryEmbedding", .opset = 1, .attributes = {{"mrope_section", "", std::vector<int64_t>{2, 2, 2}}, {"mrope_layout", "", int64_t{1}}, {"num_heads", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 12}, {1.45, 0.57, 2.43, 0.64, 0.84, 0.84, -0.61, -0.07, 1.35, -0.4, 0.19, -0.02}), integers(DType::Int64, {3, 1, 1}, {0, 1, 2}), floats({3, 6}, {0.61, -0.36, -0.15, 0.24, 0.1, -0.86, 0.9, -1.3, -1.2, -1.28, 0.97, -0.36, -0.97, -1.14, 0.42, -1.05, -1.27, 0.61}), floats({3, 6}, {-1.2, -0.32, -0.01, -0.45, -0.05, 1.34, -0.52, -1.26, -1.84, -0.2, -0.35, 0.27, -0.46, -0.48, -0.72, -0.52, 0.16, -0.38})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.1525, -0.8292, 1.9926, -0.0264, 0.8813, 0.5048, -2.1121, -0.6272, -1.1826, -0.384, -0.1097, -0.3314}));
}

TEST_CASE("MRotaryEmbedding takes three positions in sections", "[program][contrib]") {
  const OneNode node{.op = "MRotaryEmbedding", .opset = 1, .attributes = {{"mrope_section", "", std::vector<int64_t>{1, 1, 1}}, {"num_heads", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 6}, {0.1, 1.9, 0.48, -1.58, 1.73, 0.35}), integers(DType::Int64, {3, 1, 1}, {0, 1, 2}), floats({3, 3}, {-0.94, 0.91, 0.02, -0.62, -0.63, -0.99, 0.05, 1.07, -0.33}), floats({3, 3}, {0.42, 1.88, -1.21, 0.26, -0.31, -1.06, -1.03, -0.02, 0.43})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.5696, -0.6607, -0.3089, 1.5272, -1.6789, 0.0909}));
}

TEST_CASE("CausalConvWithState dilates and carries its past", "[program][contrib]") {
  const OneNode node{.op = "CausalConvWithState", .opset = 1, .attributes = {{"dilation", "", int64_t{2}}, {"activation", "", std::string("silu")}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 2, 3}, {-0.53, 0.05, 0.72, 0.3, 0.87, 0.46}), floats({2, 1, 2}, {0.49, 1.83, 0.62, 0.13}), floats({2}, {0.71, -0.92}), floats({1, 2, 2}, {-0.34, 0.79, 0.63, 1.55})}, 2);
  CHECK_THAT(to_floats(out[0]), close_to({-0.168451, 0.911051, 1.51013, -0.186254, 0.0829749, -0.227581}));
  CHECK_THAT(to_floats(out[1]), close_to({0.05, 0.72, 0.87, 0.46}));
}

TEST_CASE("LinearAttention with fewer query heads than key heads gives one output for each key head", "[program][contrib]") {
  const OneNode node{.op = "LinearAttention", .opset = 1, .attributes = {{"q_num_heads", "", int64_t{1}}, {"kv_num_heads", "", int64_t{2}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 2, 2}, {0.01, -1.46, 1.95, 1.09}), floats({1, 2, 4}, {-1.06, 1.38, 0.03, -1.81, -0.42, -0.51, 1.59, -0.79}), floats({1, 2, 2}, {-0.25, -0.28, -0.38, -0.91}), Value(), floats({1, 2, 2}, {-0.22, -1.08, -0.62, -0.93}), floats({1, 2, 2}, {1.15, 0.12, 0.71, 0.63})}, 2);
  CHECK_THAT(to_floats(out[0]), close_to({0.41175, -0.0627921, 0.351455, -0.87033}));
  CHECK_THAT(to_floats(out[1]), close_to({0.289181, -0.0613493, -0.892323, 0.467153}));
}

TEST_CASE("LinearAttentionGate gives the decay and the rate", "[program][contrib]") {
  const OneNode node{.op = "LinearAttentionGate", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 2, 2}, {-1.68, 1.95, 0.92, -0.97}), floats({2}, {0.91, 1.34}), floats({2}, {-2.39, -0.55}), floats({1, 2, 2}, {-0.39, 0.65, -0.12, -0.23})}, 2);
  CHECK_THAT(to_floats(out[0]), close_to({-0.909391, -1.82962, -4.72928, -0.49234}));
  CHECK_THAT(to_floats(out[1]), close_to({0.403717, 0.65701, 0.470036, 0.442752}));
}

TEST_CASE("GatedRMSNorm normalises each head", "[program][contrib]") {
  const OneNode node{.op = "GatedRMSNorm", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 4}, {-0.06, 1.85, 2.16, -0.52}), floats({2}, {-0.93, 2.69}), floats({1, 4}, {-0.98, -0.57, 0.04, 0.48})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.0114016, -0.782897, -0.0260851, -0.264019}));
}

TEST_CASE("BranchwiseRMSNorm normalises each branch", "[program][contrib]") {
  const OneNode node{.op = "BranchwiseRMSNorm", .opset = 1, .attributes = {{"num_branches", "", int64_t{2}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 4}, {1.03, 0.39, -0.87, 0.51}), floats({4}, {0.25, 1.88, -0.01, -1.34})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.330642, 0.941463, 0.0122003, -0.958352}));
}

TEST_CASE("GatedAdd scales each row", "[program][contrib]") {
  const OneNode node{.op = "GatedAdd", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({2, 2}, {-1.05, 1.45, -0.54, -2.1}), floats({2, 2}, {-0.58, 0, 1.19, -1.01}), floats({2, 1}, {0.67, 0.8})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-1.4386, 1.45, 0.412, -2.908}));
}

TEST_CASE("ScaledSiLU scales before it gates", "[program][contrib]") {
  const OneNode node{.op = "ScaledSiLU", .opset = 1, .attributes = {{"alpha", "", 1.5F}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({3}, {-0.7, -0.19, 1.77})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.272186, -0.12233, 2.48062}));
}

TEST_CASE("MoE sums the two best experts", "[program][contrib]") {
  const OneNode node{.op = "MoE", .opset = 1, .attributes = {{"activation_type", "", std::string("gelu")}, {"k", "", int64_t{2}}, {"normalize_routing_weights", "", int64_t{1}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({2, 2}, {1.72, 0.86, 0.33, 1.14}), floats({2, 3}, {-0.14, -0.1, -0.86, 0.01, -0.08, 2.77}), floats({3, 2, 2}, {-0.19, 1.27, 1.32, -0.19, 1.17, -2.18, 0.09, 0.86, -2.4, -1.16, 1.06, -0.26}), floats({3, 2}, {-1.1, -0.37, -0.54, 0.72, 0.45, -0.28}), floats({3, 2, 2}, {-0.67, -0.05, 1.33, 0.35, 0.64, -0.15, -1.29, -0.71, 0.65, 0.1, -0.9, -1.62}), floats({3, 2}, {0.11, -0.34, -0.35, -0.33, 0.28, 0.29})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.286928, -0.592155, 0.205424, 0.474385}));
}

TEST_CASE("MoE gates with every second feature", "[program][contrib]") {
  const OneNode node{.op = "MoE", .opset = 1, .attributes = {{"activation_type", "", std::string("swiglu")}, {"swiglu_fusion", "", int64_t{1}}, {"k", "", int64_t{1}}, {"activation_alpha", "", 1.75F}, {"activation_beta", "", 1.0F}, {"swiglu_limit", "", 0.5F}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({2, 2}, {0.96, 0.93, 1.33, 0.81}), floats({2, 3}, {-0.34, -0.05, 0.49, -0.31, 0.55, 1.15}), floats({3, 4, 2}, {-0.8, -1.77, 1.19, 0.02, 0.71, -1.33, 1.73, 0.74, -0.13, -0.35, 0.11, -0.17, -0.28, -1.12, 1.26, -0.04, 0.07, 0.09, -2.36, 0.53, -0.33, -0.29, 0.07, -0.97}), floats({3, 4}, {0.84, -0.7, -0.9, -0.86, 0.16, 0.75, -0.6, -1.51, 1.06, -1.07, 1.19, -0.05}), floats({3, 2, 2}, {-0.7, -0.64, 0.46, 0.89, -0.2, 0.95, 2.09, -0.21, -1.15, -1.05, -1.39, -0.64}), floats({3, 2}, {-0.72, -1.33, 0.53, -2.61, -1.32, 2.02})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.846138, 0.82317, -0.959088, 0.933054}));
}

TEST_CASE("Range of com.microsoft has a step of 1 if none is given", "[program][contrib]") {
  const OneNode node{.op = "Range", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {integers(DType::Int64, {}, {1}), integers(DType::Int64, {}, {4})}, 1);
  CHECK(to_integers(out[0]) == std::vector<int64_t>{1, 2, 3});
}

TEST_CASE("GridSample of com.microsoft is bilinear", "[program][contrib]") {
  const OneNode node{.op = "GridSample", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 2, 2}, {1.04, 0.52, 0.46, 1.77}), floats({1, 1, 2, 2}, {-0.4, 0.2, 1.4, 0})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.7101, 0.1145}));
}

TEST_CASE("Pad of com.microsoft takes its pads as an input", "[program][contrib]") {
  const OneNode node{.op = "Pad", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 2}, {0.54, 0.08}), integers(DType::Int64, {4}, {0, 1, 1, 0}), floats({1}, {0.5})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.5, 0.54, 0.08, 0.5, 0.5, 0.5}));
}

TEST_CASE("ConvTransposeWithDynamicPads takes its pads as an input", "[program][contrib]") {
  const OneNode node{.op = "ConvTransposeWithDynamicPads", .opset = 1, .attributes = {{"strides", "", std::vector<int64_t>{2, 2}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 2, 2}, {-1.23, -0.07, -0.73, -0.71}), floats({1, 1, 2, 2}, {-0.71, -0.04, -0.33, 0.87}), integers(DType::Int64, {4}, {1, 0, 0, 1}), floats({1}, {0.25})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.6559, -0.8201, 0.2731, 0.7683, 0.2792, 0.7541, 0.4909, -0.3851, 0.4843}));
}

TEST_CASE("CDist measures squared distances", "[program][contrib]") {
  const OneNode node{.op = "CDist", .opset = 1, .attributes = {{"metric", "", std::string("sqeuclidean")}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({2, 2}, {-1.33, -0.17, 1.86, 0.04}), floats({1, 2}, {1.2, 1.14})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({8.117, 1.6456}));
}

TEST_CASE("CDist measures distances", "[program][contrib]") {
  const OneNode node{.op = "CDist", .opset = 1, .attributes = {{"metric", "", std::string("euclidean")}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({2, 2}, {1.32, 0.74, -1.38, -0.27}), floats({1, 2}, {-0.38, -1.55})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({2.85203, 1.62432}));
}

TEST_CASE("UnfoldTensor cuts windows", "[program][contrib]") {
  const OneNode node{.op = "UnfoldTensor", .opset = 1, .attributes = {{"dim", "", int64_t{1}}, {"size", "", int64_t{3}}, {"step", "", int64_t{2}}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 5}, {-0.46, -1.25, -1.67, 0.21, -0.04})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.46, -1.25, -1.67, -1.67, 0.21, -0.04}));
}

TEST_CASE("CropAndResize interpolates, and fills outside", "[program][contrib]") {
  const OneNode node{.op = "CropAndResize", .opset = 1, .attributes = {{"extrapolation_value", "", -1.0F}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}), floats({2, 4}, {0, 0.25, 1, 0.75, 0.5, -0.5, 1, 1}), integers(DType::Int32, {2}, {0, 0}), integers(DType::Int32, {2}, {2, 2})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.75, 2.25, 8.75, 10.25, -1, 7, -1, 11}));
}

TEST_CASE("CropAndResize takes the nearest, halves up", "[program][contrib]") {
  const OneNode node{.op = "CropAndResize", .opset = 1, .attributes = {{"mode", "", std::string("nearest")}}, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}), floats({1, 4}, {0, 0, 0.5, 0.5}), integers(DType::Int32, {1}, {0}), integers(DType::Int32, {2}, {3, 2})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0, 2, 4, 6, 4, 6}));
}

TEST_CASE("Inverse inverts", "[program][contrib]") {
  const OneNode node{.op = "Inverse", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({1, 2, 2}, {2, 1, 1, 1})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({1, -1, -1, 2}));
}

TEST_CASE("Affine of opset 1", "[program][contrib]") {
  const OneNode node{.op = "Affine", .opset = 7, .attributes = {{"alpha", "", 2.0F}, {"beta", "", 0.5F}}};
  const auto out = run_op(node, {floats({3}, {-0.69, -0.95, -0.54})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.88, -1.4, -0.58}));
}

TEST_CASE("Crop of opset 1 cuts its borders", "[program][contrib]") {
  const OneNode node{.op = "Crop", .opset = 7, .attributes = {{"border", "", std::vector<int64_t>{1, 0, 1, 2}}}};
  const auto out = run_op(node, {floats({1, 1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({1, 2}));
}

TEST_CASE("Crop of opset 1 takes a size", "[program][contrib]") {
  const OneNode node{.op = "Crop", .opset = 7, .attributes = {{"border", "", std::vector<int64_t>{1, 1, 0, 0}}, {"scale", "", std::vector<int64_t>{2, 2}}}};
  const auto out = run_op(node, {floats({1, 1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({5, 6, 9, 10}));
}

TEST_CASE("ImageScaler of opset 1", "[program][contrib]") {
  const OneNode node{.op = "ImageScaler", .opset = 7, .attributes = {{"scale", "", 2.0F}, {"bias", "", std::vector<float>{1.0, -3.0}}}};
  const auto out = run_op(node, {floats({1, 2, 1, 2}, {-0.39, -0.41, -0.05, -0.44})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0.22, 0.18, -3.1, -3.88}));
}

TEST_CASE("ParametricSoftplus of opset 1", "[program][contrib]") {
  const OneNode node{.op = "ParametricSoftplus", .opset = 7, .attributes = {{"alpha", "", 2.0F}, {"beta", "", 0.5F}}};
  const auto out = run_op(node, {floats({3}, {0.39, 0.52, 0.36})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({1.59079, 1.66315, 1.57438}));
}

TEST_CASE("ScaledTanh of opset 1", "[program][contrib]") {
  const OneNode node{.op = "ScaledTanh", .opset = 7, .attributes = {{"alpha", "", 2.0F}, {"beta", "", 0.5F}}};
  const auto out = run_op(node, {floats({3}, {-0.66, -0.62, 0.43})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.637042, -0.600874, 0.423495}));
}

TEST_CASE("Scale of opset 1", "[program][contrib]") {
  const OneNode node{.op = "Scale", .opset = 7, .attributes = {{"scale", "", 2.0F}}};
  const auto out = run_op(node, {floats({3}, {-0.2, -0.04, -2.49})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.4, -0.08, -4.98}));
}

TEST_CASE("Small operators of com.microsoft say what they lack", "[program][contrib]") {
  const OneNode moe{.op = "MoE", .opset = 1, .attributes = {{"use_sparse_mixer", "", int64_t{1}}}, .domain = "com.microsoft"};
  CHECK_THROWS_WITH(run_op(moe, {floats({1, 1}, {1}), floats({1, 1}, {1})}), Catch::Contains("use_sparse_mixer"));
  const OneNode distance{.op = "CDist", .opset = 1, .attributes = {{"metric", "", std::string("cosine")}}, .domain = "com.microsoft"};
  CHECK_THROWS_WITH(run_op(distance, {floats({1, 1}, {1}), floats({1, 1}, {1})}), Catch::Contains("metric is \"cosine\""));
  const OneNode scaler{.op = "ImageScaler", .opset = 7, .attributes = {{"bias", "", std::vector<float>{1, 2}}}};
  CHECK_THROWS_WITH(run_op(scaler, {floats({1, 1, 1, 1}, {1})}), Catch::Contains("2 biases do not fit"));
  const OneNode state{.op = "CausalConvWithState", .opset = 1, .attributes = {{"ndim", "", int64_t{2}}}, .domain = "com.microsoft"};
  CHECK_THROWS_WITH(run_op(state, {floats({1, 1, 1, 1}, {1}), floats({1, 1, 1, 1}, {1})}, 2), Catch::Contains("several spatial axes"));
}
