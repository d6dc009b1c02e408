// Recorded from ONNX Runtime 1.31.1 on the CPU, optimisations off.
#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("Attention of ONNX Runtime projects with one weight and adds -10000 to padding",
          "[program][contrib]") {
  const OneNode node{.op = "Attention",
                     .opset = 1,
                     .attributes = {{"num_heads", "", int64_t{2}}},
                     .domain = "com.microsoft"};
  const auto out = run_op(
      node,
      {floats({1, 2, 4}, {0, 0.3, -0.3, -0.9, -0.5, -1, 0.1, 1.3}),
       floats({4, 12}, {-1.8, 0.7, 0,    0.1,  -0.8, 0.5,  -0.5, -0.1, -1.1, -1.2, 1.3,  -0.5,
                        0.3,  0,   -0.4, -0.5, 0.6,  -0.3, -0.2, 0,    1.2,  0.7,  0.4,  -0.6,
                        -1.4, 0.9, 1,    -0.1, 0.5,  0.8,  0.8,  0.9,  -0.5, 1.5,  -1.2, 0.9,
                        0.5,  0.9, 1.9,  1.5,  -1.1, -1.7, 0.8,  -1,   0,    0.8,  -1.6, -2.1}),
       floats({12}, {0.3, 0, -0.2, 0, -0.9, -1.5, -0.2, -1, -1.6, 0.5, -0.1, 0.4}),
       integers(DType::Int32, {1, 2}, {1, 0})},
      1);
  CHECK_THAT(to_floats(out[0]), close_to({-1.09, -0.46, 1.82, 1.84, -1.09, -0.46, 1.82, 1.84}));
}

TEST_CASE("Attention of ONNX Runtime appends to its past", "[program][contrib]") {
  const OneNode node{
      .op = "Attention",
      .opset = 1,
      .attributes = {{"num_heads", "", int64_t{1}}, {"unidirectional", "", int64_t{1}}},
      .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({1, 2, 2}, {-1, -0.7, -1, -0.9}),
              floats({2, 6}, {0.2, -0.8, 0.4, 0.3, 2, -1.4, 0.9, -0.1, 0, -1.4, -0.5, 0.7}),
              floats({6}, {-0.1, 0.1, -0.3, 1.2, 0, -2.2}), Value(),
              floats({2, 1, 1, 1, 2}, {-0.7, -2, -3.3, -0.5})},
             2);
  CHECK_THAT(to_floats(out[0]), close_to({-1.75774, -1.23841, -1.64451, -1.34173}));
  CHECK_THAT(to_floats(out[1]),
             close_to({-0.7, -2, -0.7, 1.88, -0.7, 2.16, -3.3, -0.5, -1.65, -1.29, -1.55, -1.43}));
}

TEST_CASE("MultiHeadAttention adds biases and masks padded keys", "[program][contrib]") {
  const OneNode node{.op = "MultiHeadAttention",
                     .opset = 1,
                     .attributes = {{"num_heads", "", int64_t{2}}},
                     .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({1, 2, 4}, {0, 0.3, -0.3, -0.9, -0.5, -1, 0.1, 1.3}),
              floats({1, 3, 4}, {1.3, 0, -1.2, -0.9, 1.1, 0.2, 0, -0.1, 0, 0.8, 0.6, 0.2}),
              floats({1, 3, 4}, {-1, 0.5, -0.7, 1.1, -1.3, -0.1, 0, -1.3, 1.7, 1.5, -0.5, 0.8}),
              floats({12}, {0.4, -2.6, 0.3, -0.1, 0.1, -1.1, -0.3, -0.2, 1.2, 0.3, -0, 1.5}),
              integers(DType::Int32, {1}, {2})},
             1);
  CHECK_THAT(to_floats(out[0]), close_to({0.0782949, 0.55659, -0.446437, 1.73064, 0.0863834,
                                          0.572767, -0.18576, 0.836892}));
}

TEST_CASE("GroupQueryAttention shares keys between heads and writes behind the past",
          "[program][contrib]") {
  const OneNode node{
      .op = "GroupQueryAttention",
      .opset = 1,
      .attributes = {{"num_heads", "", int64_t{2}}, {"kv_num_heads", "", int64_t{1}}},
      .domain = "com.microsoft"};
  const auto out = run_op(node,
                          {floats({1, 1, 16}, {-0.6, -0.4, -1.8, 1.6, 1, 0.9, 0.7, 0.1, 0.2, -0.3,
                                               -0.2, 0.1, 1.5, 0.6, -0.1, -0.6}),
                           floats({1, 1, 8}, {-0.6, 1.6, 0.5, 0.1, -0.3, -1.1, -0.1, 0.9}),
                           floats({1, 1, 8}, {-0.4, -0.2, -0.2, 0.1, -1.6, -0.2, -0.9, 0.9}),
                           floats({1, 1, 2, 8}, {-0.8, 0.6, 1.5, -0.3, -0.6, 0.2, 0, -1, 0.5, 2,
                                                 -0.3, -0.2, -1, 0.3, -1.2, -1.1}),
                           floats({1, 1, 2, 8}, {1.3, -0.9, 1.1, 1.5, 0.3, 0.6, 2, -0.2, -0.6, -1.4,
                                                 0, 1.5, 1, -0.9, -0.9, -0.5}),
                           integers(DType::Int32, {1}, {2}), integers(DType::Int32, {}, {3})},
                          3);
  CHECK_THAT(
      to_floats(out[0]),
      close_to({-0.0333741, -0.804473, 0.20518, 0.955292, -0.191689, -0.241743, -0.153921, 0.121889,
                0.194399, -0.923363, 0.386268, 1.1735, 0.11815, -0.146415, 0.241312, -0.0554311}));
}

TEST_CASE("GroupQueryAttention looks back over its window only", "[program][contrib]") {
  const OneNode node{.op = "GroupQueryAttention",
                     .opset = 1,
                     .attributes = {{"num_heads", "", int64_t{1}},
                                    {"kv_num_heads", "", int64_t{1}},
                                    {"local_window_size", "", int64_t{2}}},
                     .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({1, 4, 8}, {0.3, -0.2, 0.2, 0.3,  -0.3, 0,    0.2,  -0.1, 0.5,  1.9,  0.6,
                                 0.1, -1.7, 0.4, -1.9, -1.4, 0.9,  0.7,  -0.1, -1.7, -0.4, -0.7,
                                 0.6, 2.3,  0.2, -0.8, -1.2, -0.1, -0.2, -1.2, 0.1,  -1.2}),
              floats({1, 4, 8}, {1.1,  1.1, 1.1, -0.5, 0.5,  -0.1, -0.4, -0.3, -1.3, -1.4, 0.8,
                                 -0.2, 0.2, 1,   -1.7, -0.8, 0.2,  0.4,  -0.4, 1,    0.2,  -1.2,
                                 -0.9, 0.8, 0.5, -1.9, 1.3,  0.6,  1.3,  -0.4, -0.3, -1.1}),
              floats({1, 4, 8}, {2.5,  -0.2, 1.6,  -0.6, 0.2,  -1.7, -0.4, 1,    -1.3, 1.1, 0.3,
                                 -1,   -0.5, -0.5, 0,    -0.5, -0.8, -0.3, -1,   -1.3, 0,   0.9,
                                 -1.5, 0,    -0.6, -1,   0.9,  -0.5, 1.5,  -0.8, 0.4,  -0.2}),
              Value(), Value(), integers(DType::Int32, {1}, {3}), integers(DType::Int32, {}, {4})},
             3);
  CHECK_THAT(
      to_floats(out[0]),
      close_to({2.5,       -0.2,      1.6,        -0.6,      0.2,       -1.7,      -0.4,
                1,         1.23914,   0.231346,   1.16865,   -0.732722, -0.032263, -1.30183,
                -0.267278, 0.502294,  -0.847279,  -0.167618, -0.877074, -1.27163,  -0.0472792,
                0.767618,  -1.35816,  -0.0472792, -0.681478, -0.714827, 0.125959,  -0.825912,
                0.888915,  -0.107437, -0.374041,  -0.118522}));
}

TEST_CASE("a smooth softmax gives weight to nothing", "[program][contrib]") {
  const OneNode node{.op = "GroupQueryAttention",
                     .opset = 1,
                     .attributes = {{"num_heads", "", int64_t{1}},
                                    {"kv_num_heads", "", int64_t{1}},
                                    {"smooth_softmax", "", int64_t{1}}},
                     .domain = "com.microsoft"};
  const auto out = run_op(
      node,
      {floats({1, 2, 8},
              {-0.8, 0.6, -0.2, 0.6, 0, -1.1, -0.1, 0.1, 1, -0.9, -0, -1.7, 0.7, -1.1, -1.8, -0.1}),
       floats({1, 2, 8}, {1.1, -1.5, -1.1, -0.7, -1.1, 0.4, -0.8, -0.7, 0.6, -0.8, 0.4, -1, -1.2,
                          -1.8, 1.9, -0.3}),
       floats({1, 2, 8},
              {0.2, 0, 0.2, 0, 1.9, -1, -1.6, -1, -1.3, 0.7, 0.8, -1, -1.4, -0.4, 1.4, -2.8}),
       Value(), Value(), integers(DType::Int32, {1}, {1}), integers(DType::Int32, {}, {2})},
      3);
  CHECK_THAT(to_floats(out[0]),
             close_to({0.0598, 0, 0.0598, 0, 0.5681, -0.299, -0.4784, -0.299, -0.142178, 0.144961,
                       0.292706, -0.207088, 0.916917, -0.718014, -0.726363, -1.21502}));
}

TEST_CASE("RotaryEmbedding of ONNX Runtime starts at a position", "[program][contrib]") {
  const OneNode node{.op = "RotaryEmbedding", .opset = 1, .domain = "com.microsoft"};
  const auto out =
      run_op(node,
             {floats({1, 2, 4}, {0.5, -1.1, 1, -1.1, -0.3, -1.5, -1, 1.4}),
              integers(DType::Int64, {1}, {1}), floats({3, 2}, {1, 1, 0.5, 0.8, -0.4, 0.6}),
              floats({3, 2}, {0, 0, 0.9, 0.6, 0.9, 0.8})},
             1);
  CHECK_THAT(to_floats(out[0]), close_to({-0.65, -0.22, 0.95, -1.54, 1.02, -2.02, 0.13, -0.36}));
}
