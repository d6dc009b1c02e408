// Recorded from ONNX Runtime 1.31.1 on the CPU, optimisations off.
#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("FusedMatMul transposes and scales", "[program][contrib]") {
  const OneNode node{.op = "FusedMatMul",
                     .opset = 1,
                     .attributes = {{"transA", "", int64_t{1}}, {"alpha", "", 0.5F}},
                     .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({3, 2}, {-0.5, -0.6, 0.5, 0.4, 0.1, -0.9}),
                           floats({3, 2}, {0, 0.7, -1.3, -0.5, -1.9, -1.3})},
                          1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.42, -0.365, 0.595, 0.275}));
}

TEST_CASE("FusedMatMul can have the row axis in front of the batch", "[program][contrib]") {
  const OneNode node{.op = "FusedMatMul",
                     .opset = 1,
                     .attributes = {{"transBatchA", "", int64_t{1}}},
                     .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({2, 3, 2}, {-1.8, -0.2, -1.3, 0.3, 0.2, -0.2, -2.5, -0.5, 0, 0.1, -1.5, -0.5}),
              floats({3, 2, 2}, {-1, -0.8, 1.1, -0.8, 0, 0.9, -0.6, -0.1, 0.1, 0.1, -1.2, 0.1})},
             1);
  CHECK_THAT(to_floats(out[0]),
             close_to({1.58, 1.6, 1.95, 2.4, -0.18, -1.2, -0.06, -0.01, 0.26, 0, 0.45, -0.2}));
}

TEST_CASE("FusedConv adds a tensor before its activation", "[program][contrib]") {
  const OneNode node{.op = "FusedConv",
                     .opset = 1,
                     .attributes = {{"activation", "", std::string("Relu")},
                                    {"kernel_shape", "", std::vector<int64_t>{2, 2}}},
                     .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({1, 1, 3, 3}, {1.4, -1.5, 0.9, 0.1, -0.6, 2, 0.8, -1.2, 0.1}),
                           floats({1, 1, 2, 2}, {0.6, -0.2, 0.7, -0.1}), floats({1}, {0.7}),
                           floats({1, 1, 2, 2}, {1.4, -0.7, 0.2, -0.5})},
                          1);
  CHECK_THAT(to_floats(out[0]), close_to({3.37, 0, 1.76, 0}));
}

TEST_CASE("FusedGemm applies its activation", "[program][contrib]") {
  const OneNode node{
      .op = "FusedGemm",
      .opset = 1,
      .attributes = {{"activation", "", std::string("LeakyRelu")}, {"activation_alpha", "", 0.25F}},
      .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({2, 2}, {0.1, -1.2, -0.6, -0.2}),
                           floats({2, 2}, {0.9, 1.1, -1.3, -0.8}), floats({2}, {0.6, -2})},
                          1);
  CHECK_THAT(to_floats(out[0]), close_to({2.25, -0.2325, 0.32, -0.625}));
}

TEST_CASE("the Gelu of ONNX Runtime is exact", "[program][contrib]") {
  const OneNode node{.op = "Gelu", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({4}, {-0.5, -0.1, 1.3, 0.7})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.154269, -0.0460172, 1.17416, 0.530625}));
}

TEST_CASE("BiasGelu adds before it activates", "[program][contrib]") {
  const OneNode node{.op = "BiasGelu", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(
      node, {floats({2, 3}, {-0.3, -0.4, -0.3, 1.5, -0.4, -0.3}), floats({3}, {0.4, -0.1, -0.2})},
      1);
  CHECK_THAT(to_floats(out[0]),
             close_to({0.0539828, -0.154269, -0.154269, 1.84544, -0.154269, -0.154269}));
}

TEST_CASE("FastGelu is the tanh approximation", "[program][contrib]") {
  const OneNode node{.op = "FastGelu", .opset = 1, .domain = "com.microsoft"};
  const auto out = run_op(
      node, {floats({2, 3}, {-1.1, 0, -0.4, 1.2, 0.7, 0}), floats({3}, {0.7, -0.3, 1.1})}, 1);
  CHECK_THAT(to_floats(out[0]),
             close_to({-0.137839, -0.114629, 0.53057, 1.84545, 0.262161, 0.950581}));
}

TEST_CASE("QuickGelu is a scaled swish", "[program][contrib]") {
  const OneNode node{.op = "QuickGelu",
                     .opset = 1,
                     .attributes = {{"alpha", "", 1.702F}},
                     .domain = "com.microsoft"};
  const auto out = run_op(node, {floats({4}, {0, 0.6, -1.3, 0.3})}, 1);
  CHECK_THAT(to_floats(out[0]), close_to({0, 0.441124, -0.128212, 0.187484}));
}

TEST_CASE("SkipLayerNormalization normalises and hands out the sum", "[program][contrib]") {
  const OneNode node{.op = "SkipLayerNormalization",
                     .opset = 1,
                     .attributes = {{"epsilon", "", 0.001F}},
                     .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({1, 2, 4}, {0, 0.3, -0.3, -0.9, -0.5, -1, 0.1, 1.3}),
                           floats({1, 2, 4}, {-1.7, -2, -0.3, -0.9, 0.2, 2.2, -0.8, -0.6}),
                           floats({4}, {0.2, 0.5, -0.2, -0.2}), floats({4}, {0.7, 0.5, -1, -0.1}),
                           floats({4}, {0, -1.1, 0.3, -0.9})},
                          4);
  CHECK_THAT(to_floats(out[0]), close_to({0.734777, 0.0404488, -1.31299, 0.0639479, 0.594591,
                                          1.29057, -0.789181, -0.1}));
  CHECK_THAT(to_floats(out[3]), close_to({-1.7, -2.8, -0.3, -2.7, -0.3, 0.1, -0.4, -0.2}));
}

TEST_CASE("SkipSimplifiedLayerNormalization divides by the root mean square",
          "[program][contrib]") {
  const OneNode node{.op = "SkipSimplifiedLayerNormalization",
                     .opset = 1,
                     .attributes = {{"epsilon", "", 0.001F}},
                     .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({1, 2, 4}, {0, 0.3, -0.3, -0.9, -0.5, -1, 0.1, 1.3}),
                           floats({1, 2, 4}, {1, 0.2, 0.1, -0.6, -0.1, -2, -1.1, 0.4}),
                           floats({4}, {-2.1, 0.8, -1.7, 0.8})},
                          4);
  CHECK_THAT(to_floats(out[0]), close_to({-2.23101, 0.424955, 0.361212, -1.27487, 0.692193,
                                          -1.31846, 0.933911, 0.747129}));
  CHECK_THAT(to_floats(out[3]), close_to({1, 0.5, -0.2, -1.5, -0.6, -3, -1, 1.7}));
}

TEST_CASE("EmbedLayerNormalization adds three embeddings and counts words", "[program][contrib]") {
  const OneNode node{.op = "EmbedLayerNormalization", .opset = 1, .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {integers(DType::Int32, {1, 2}, {2, 0}), integers(DType::Int32, {1, 2}, {0, 1}),
              floats({3, 4}, {-0.8, 0.8, 0.1, -1.5, 1.2, 1.4, -0.1, -0.3, -0.2, -1, 1.1, -0.5}),
              floats({2, 4}, {-0.1, -0.8, -0.6, -1.3, 1.3, -0.2, 1, 0}),
              floats({2, 4}, {-0.7, -0.3, -0.6, 0, -0.4, -0.3, -1.4, -0.8}),
              floats({4}, {1.7, -0.7, -1.1, 0.3}), floats({4}, {1.4, -1.5, -0.2, -0.6}),
              integers(DType::Int32, {1, 2}, {1, 0})},
             2);
  CHECK_THAT(to_floats(out[0]), close_to({1.94753, -0.733454, -1.82972, -0.812572, 2.46949,
                                          -2.07588, -0.466164, -1.10813}));
  CHECK(to_integers(out[1]) == std::vector<int64_t>{1});
}
