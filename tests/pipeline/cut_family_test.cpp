// One small graph for every operator family that has a rule: random units of it are cut, and the masked model equals the shrunk one.
#include <algorithm>

#include "pipeline/cut_stage.h"
#include "structure/sample.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

struct Family {
  std::string name;
  GraphSample graph;
  std::string tensor;  ///< that must have lost indices
  int axis = 0;
  std::string pattern = "channel";
};

std::string text_with_domains(const GraphSample& sample) {
  std::string text = text_of(sample);
  return text.replace(text.find("]>"), 2, ", \"com.microsoft\": 1]>");
}

std::vector<Family> families() {
  const std::string sequence = "float[1,4,3] x";
  const std::string image = "float[1,3,6,6] x";
  return {
      {"a root mean square of several operators",
       {.inputs = sequence, .outputs = "float[1,4,2] y", .weights = {{"a", {3, 6}}, {"gamma", {6}}, {"b", {6, 2}}},
        .nodes = "h = MatMul (x, a) q = Mul (h, h) m = ReduceMean <axes = [2]> (q) e = Add (m, eps) s = Sqrt (e) n = Div (h, s) g = Mul (n, gamma) "
                 "y = MatMul (g, b)",
        .constants = "float eps = {0.5}"},
       "a", 1},
      {"RMSNormalization",
       {.inputs = sequence, .outputs = "float[1,4,2] y", .weights = {{"a", {3, 6}}, {"gamma", {6}}, {"b", {6, 2}}},
        .nodes = "h = MatMul (x, a) n = RMSNormalization <epsilon = 0.5> (h, gamma) y = MatMul (n, b)", .opset = 23},
       "a", 1},
      {"SkipSimplifiedLayerNormalization",
       {.inputs = sequence, .outputs = "float[1,4,2] y", .weights = {{"a", {3, 6}}, {"c", {3, 6}}, {"gamma", {6}}, {"b", {6, 2}}},
        .nodes = "h = MatMul (x, a) k = MatMul (x, c) n = com.microsoft.SkipSimplifiedLayerNormalization <epsilon = 0.25> (h, k, gamma) y = MatMul (n, b)"},
       "c", 1},
      {"a residual stream whose sums and norms are fused, as ONNX Runtime's optimiser leaves a language model",
       {.inputs = sequence, .outputs = "float[1,4,2] y", .weights = {{"a", {3, 6}}, {"c", {6, 5}}, {"e", {5, 6}}, {"f", {6, 5}}, {"i", {5, 6}}, {"gamma", {6}}, {"b", {6, 2}}},
        .nodes = "h = MatMul (x, a) r = com.microsoft.SimplifiedLayerNormalization <axis = -1, epsilon = 0.25> (h, gamma) p = MatMul (r, c) q = Relu (p) k = MatMul (q, e) "
                 "n, , , s = com.microsoft.SkipSimplifiedLayerNormalization <epsilon = 0.25> (h, k, gamma) u = MatMul (n, f) v = Relu (u) w = MatMul (v, i) "
                 "o = com.microsoft.SkipSimplifiedLayerNormalization <epsilon = 0.25> (s, w, gamma) y = MatMul (o, b)"},
       "i", 1},
      {"LpNormalization",
       {.inputs = sequence, .outputs = "float[1,4,2] y", .weights = {{"a", {3, 6}}, {"b", {6, 2}}},
        .nodes = "h = MatMul (x, a) n = LpNormalization <axis = -1, p = 2> (h) y = MatMul (n, b)"},
       "a", 1},
      {"a mean over channels that ends the graph",
       {.inputs = sequence, .outputs = "float[1,4] y", .weights = {{"a", {3, 6}}}, .nodes = "h = MatMul (x, a) r = Relu (h) y = ReduceMean <axes = [2], keepdims = 0> (r)"},
       "a", 1},
      {"a Reshape whose sizes the graph computes",
       {.inputs = sequence, .outputs = "float[4,2] y", .weights = {{"a", {3, 6}}, {"b", {6, 2}}},
        .nodes = "h = MatMul (x, a) s = Shape (h) c = Gather (s, two) d = Add (c, four) e = Sub (d, four) t = Concat <axis = 0> (rest, e) "
                 "r = Reshape (h, t) y = MatMul (r, b)",
        .constants = "int64[1] two = {2}, int64[1] four = {4}, int64[1] rest = {4}"},
       "a", 1},
      {"heads that share an axis with an open batch, of a length that the graph computes",
       {.inputs = "float[4,N,6] x", .outputs = "float[4,N,2] y", .weights = {{"q", {6, 8}}, {"k", {6, 8}}, {"v", {6, 8}}, {"b", {8, 2}}},
        .nodes = "z = Shape (x) n = Gather (z, one) m = Mul (n, four) t = Concat <axis = 0> (four, m, two) u = Concat <axis = 0> (four, n, eight) "
                 "f = MatMul (x, q) g = Reshape (f, t) c = Transpose <perm = [1, 0, 2]> (g) h = MatMul (x, k) i = Reshape (h, t) d = Transpose <perm = [1, 2, 0]> (i) "
                 "j = MatMul (x, v) l = Reshape (j, t) e = Transpose <perm = [1, 0, 2]> (l) o = MatMul (c, d) p = Softmax <axis = -1> (o) r = MatMul (p, e) "
                 "s = Transpose <perm = [1, 0, 2]> (r) a = Reshape (s, u) y = MatMul (a, b)",
        .constants = "int64[1] one = {1}, int64[1] two = {2}, int64[1] four = {4}, int64[1] eight = {8}"},
       "q", 1, "head"},
      {"Attention of opset 23 whose scale is not stated",
       {.inputs = "float[1,4,6] x", .outputs = "float[1,4,2] y", .weights = {{"q", {6, 8}}, {"k", {6, 8}}, {"v", {6, 8}}, {"b", {8, 2}}},
        .nodes = "f = MatMul (x, q) g = MatMul (x, k) c = MatMul (x, v) h = Attention <q_num_heads = 2, kv_num_heads = 2> (f, g, c) y = MatMul (h, b)", .opset = 23},
       "q", 1},
      {"the largest of channels, none below zero",
       {.inputs = image, .outputs = "float[1,2,6,6] y", .weights = {{"a", {6, 3, 3, 3}}, {"s", {1, 2, 3, 3}}, {"b", {2, 6, 1, 1}}},
        .nodes = "h = Conv <pads = [1, 1, 1, 1]> (x, a) r = Relu (h) m = ReduceMean <axes = [1]> (r) n = ReduceMax <axes = [1]> (r) c = Concat <axis = 1> (m, n) "
                 "d = Conv <pads = [1, 1, 1, 1]> (c, s) e = Sigmoid (d) f = Mul (r, e) y = Conv (f, b)"},
       "a", 0},
      {"Attention with its projections",
       {.inputs = "float[1,4,6] x", .outputs = "float[1,4,2] y", .weights = {{"w", {6, 24}}, {"wb", {24}}, {"b", {8, 2}}},
        .nodes = "h = com.microsoft.Attention <num_heads = 4> (x, w, wb) y = MatMul (h, b)"},
       "w", 1, "head"},
      {"Attention with sizes of its own",
       {.inputs = "float[1,4,6] x", .outputs = "float[1,4,2] y", .weights = {{"w", {6, 28}}, {"wb", {28}}, {"b", {12, 2}}},
        .nodes = "h = com.microsoft.Attention <num_heads = 4, qkv_hidden_sizes = [8, 8, 12]> (x, w, wb) y = MatMul (h, b)"},
       "b", 0},
      {"MultiHeadAttention with a bias for all three",
       {.inputs = "float[1,4,6] x", .outputs = "float[1,4,2] y", .weights = {{"q", {6, 8}}, {"k", {6, 8}}, {"v", {6, 8}}, {"all", {24}}, {"b", {8, 2}}},
        .nodes = "i = MatMul (x, q) j = MatMul (x, k) l = MatMul (x, v) h = com.microsoft.MultiHeadAttention <num_heads = 4> (i, j, l, all) y = MatMul (h, b)"},
       "q", 1, "head"},
      {"RotaryEmbedding in front of attention",
       {.inputs = "float[1,4,6] x", .outputs = "float[1,4,2] y", .weights = {{"q", {6, 8}}, {"k", {6, 8}}, {"v", {6, 8}}, {"cosine", {4, 1}}, {"sine", {4, 1}}, {"b", {8, 2}}},
        .nodes = "i = MatMul (x, q) j = MatMul (x, k) l = MatMul (x, v) f = com.microsoft.RotaryEmbedding <num_heads = 4> (i, at, cosine, sine) "
                 "g = com.microsoft.RotaryEmbedding <num_heads = 4> (j, at, cosine, sine) "
                 "h = com.microsoft.MultiHeadAttention <num_heads = 4> (f, g, l) y = MatMul (h, b)",
        .constants = "int64[1,4] at = {0, 1, 2, 3}"},
       "k", 1, "head"},
      {"FusedConv that adds and activates",
       {.inputs = image, .outputs = "float[1,2,6,6] y", .weights = {{"a", {4, 3, 1, 1}}, {"c", {4, 3, 1, 1}}, {"b", {4}}, {"d", {2, 4, 1, 1}}},
        .nodes = "k = Conv (x, c) h = com.microsoft.FusedConv <activation = \"Relu\"> (x, a, b, k) y = Conv (h, d)"},
       "a", 0},
      {"FusedGemm",
       {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {{"a", {3, 6}}, {"b", {6}}, {"d", {6, 2}}},
        .nodes = "h = com.microsoft.FusedGemm <activation = \"Sigmoid\"> (x, a, b) y = MatMul (h, d)"},
       "a", 1},
      {"FusedMatMul", {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {{"a", {6, 3}}, {"d", {6, 2}}},
                       .nodes = "h = com.microsoft.FusedMatMul <transB = 1, alpha = 0.5> (x, a) y = MatMul (h, d)"},
       "a", 0},
      {"BiasGelu", {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {{"a", {3, 6}}, {"b", {6}}, {"d", {6, 2}}},
                    .nodes = "h = MatMul (x, a) g = com.microsoft.BiasGelu (h, b) y = MatMul (g, d)"},
       "b", 0},
      {"GridSample", {.inputs = image, .outputs = "float[1,2,2,2] y", .weights = {{"a", {4, 3, 1, 1}}, {"grid", {1, 2, 2, 2}}, {"d", {2, 4, 1, 1}}},
                      .nodes = "h = Conv (x, a) g = GridSample (h, grid) y = Conv (g, d)"},
       "a", 0},
      {"RoiAlign", {.inputs = image, .outputs = "float[1,2,2,2] y", .weights = {{"a", {4, 3, 1, 1}}, {"d", {2, 4, 1, 1}}},
                    .nodes = "h = Conv (x, a) g = RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2> (h, rois, batch) y = Conv (g, d)",
                    .constants = "float[1,4] rois = {0, 0, 4, 4}, int64[1] batch = {0}"},
       "a", 0},
      {"DeformConv", {.inputs = image, .outputs = "float[1,2,6,6] y", .weights = {{"a", {4, 3, 1, 1}}, {"o", {2, 3, 1, 1}}, {"w", {5, 4, 1, 1}}, {"d", {2, 5, 1, 1}}},
                      .nodes = "h = Conv (x, a) p = Conv (x, o) g = DeformConv (h, w, p) y = Conv (g, d)", .opset = 19},
       "w", 0},
      {"pixel shuffle", {.inputs = image, .outputs = "float[1,2,12,12] y", .weights = {{"a", {16, 3, 1, 1}}, {"d", {2, 4, 1, 1}}},
                         .nodes = "h = Conv (x, a) s = DepthToSpace <blocksize = 2> (h) y = Conv (s, d)"},
       "d", 1},
      {"channel shuffle", {.inputs = image, .outputs = "float[1,2,6,6] y", .weights = {{"a", {8, 3, 1, 1}}, {"d", {2, 8, 1, 1}}},
                           .nodes = "h = Conv (x, a) r = Reshape (h, five) t = Transpose <perm = [0, 2, 1, 3, 4]> (r) f = Reshape (t, four) y = Conv (f, d)",
                           .constants = "int64[5] five = {1, 2, 4, 6, 6}, int64[4] four = {1, 8, 6, 6}"},
       "d", 1},
      {"a gated MLP", {.inputs = sequence, .outputs = "float[1,4,3] y", .weights = {{"g", {3, 6}}, {"u", {3, 6}}, {"d", {6, 3}}},
                       .nodes = "a = MatMul (x, g) b = Sigmoid (a) c = Mul (a, b) e = MatMul (x, u) f = Mul (c, e) y = MatMul (f, d)"},
       "u", 1},
      {"LSTM", {.inputs = "float[5,1,3] x", .outputs = "float[5,1,2] y", .weights = {{"w", {1, 16, 3}}, {"r", {1, 16, 4}}, {"b", {1, 32}}, {"f", {4, 2}}},
                .nodes = "h = LSTM <hidden_size = 4> (x, w, r, b) s = Squeeze (h, one) y = MatMul (s, f)", .constants = "int64[1] one = {1}"},
       "r", 2},
      {"GRU", {.inputs = "float[5,1,3] x", .outputs = "float[5,1,2] y", .weights = {{"w", {1, 12, 3}}, {"r", {1, 12, 4}}, {"b", {1, 24}}, {"f", {4, 2}}},
               .nodes = "h = GRU <hidden_size = 4> (x, w, r, b) s = Squeeze (h, one) y = MatMul (s, f)", .constants = "int64[1] one = {1}"},
       "r", 2},
      {"MatMulInteger behind DynamicQuantizeLinear",
       {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {{"d", {6, 2}}},
        .nodes = "q, s, z = DynamicQuantizeLinear (x) i = MatMulInteger (q, w, z) f = Cast <to = 1> (i) h = Mul (f, s) r = Relu (h) y = MatMul (r, d)",
        .constants = "int8[3,6] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, -11, 12, 13, 14, 15, 16, 17, 18}"},
       "w", 1},
      {"MatMulInteger that reads hidden units",
       {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {{"a", {3, 6}}},
        .nodes = "h = MatMul (x, a) r = Relu (h) q, s, z = DynamicQuantizeLinear (r) i = MatMulInteger (q, w, z) f = Cast <to = 1> (i) y = Mul (f, s)",
        .constants = "int8[6,2] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, -11, 12}"},
       "w", 0},
      {"QLinearConv",
       {.inputs = "uint8[1,1,2,2] x", .outputs = "uint8[1,1,2,2] y", .weights = {},
        .nodes = "h = QLinearConv (x, s, z, a, s4, z4, s, z, b) y = QLinearConv (h, s, z, c, s, z1, s, z)",
        .constants = "int8[4,1,1,1] a = {10, -20, 30, 40}, int8[1,4,1,1] c = {5, 60, 70, 80}, float s = {0.1}, uint8 z = {0}, float[4] s4 = {0.1, 0.2, 0.3, 0.4}, "
                     "int8[4] z4 = {0, 0, 0, 0}, int8 z1 = {0}, int32[4] b = {1, 2, 3, 4}"},
       "a", 0},
      {"QLinearMatMul",
       {.inputs = "uint8[2,3] x", .outputs = "uint8[2,2] y", .weights = {},
        .nodes = "h = QLinearMatMul (x, s, z, a, s, z1, s, z) y = QLinearMatMul (h, s, z, c, s, z1, s, z)",
        .constants = "int8[3,4] a = {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, -11, 12}, int8[4,2] c = {1, -2, 3, 4, 5, -6, 7, 8}, float s = {0.5}, uint8 z = {3}, int8 z1 = {0}"},
       "c", 0},
      {"ConvInteger",
       {.inputs = "float[1,2,2,2] x", .outputs = "float[1,1,2,2] y", .weights = {{"d", {1, 4, 1, 1}}},
        .nodes = "q, s, z = DynamicQuantizeLinear (x) i = ConvInteger (q, w, z) f = Cast <to = 1> (i) h = Mul (f, s) y = Conv (h, d)",
        .constants = "int8[4,2,1,1] w = {1, -2, 3, 4, 5, -6, 7, 8}"},
       "w", 0},
      {"weights behind DequantizeLinear with zero points of their own",
       {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {},
        .nodes = "f = DequantizeLinear <axis = 1> (a, s4, z4) h = MatMul (x, f) r = Sigmoid (h) g = DequantizeLinear (c, s, z) y = MatMul (r, g)",
        .constants = "uint8[3,4] a = {1, 250, 3, 40, 5, 60, 7, 8, 99, 10, 110, 12}, uint8[4,2] c = {1, 200, 3, 4, 50, 6, 70, 8}, float s = {0.5}, uint8 z = {128}, "
                     "float[4] s4 = {0.1, 0.2, 0.3, 0.4}, uint8[4] z4 = {3, 128, 200, 7}"},
       "a", 1},
      {"QLinearConv whose weights have zero points",
       {.inputs = "uint8[1,1,2,2] x", .outputs = "uint8[1,1,2,2] y", .weights = {},
        .nodes = "h = QLinearConv (x, s, z, a, s4, z4, s, z, b) y = QLinearConv (h, s, z, c, s, z1, s, z)",
        .constants = "int8[4,1,1,1] a = {10, -20, 30, 40}, int8[1,4,1,1] c = {5, 60, 70, 80}, float s = {0.1}, uint8 z = {9}, float[4] s4 = {0.1, 0.2, 0.3, 0.4}, "
                     "int8[4] z4 = {3, -5, 7, 1}, int8 z1 = {11}, int32[4] b = {1, 2, 3, 4}"},
       "a", 0},
      {"DynamicQuantizeMatMul whose weights have zero points",
       {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {},
        .nodes = "h = com.microsoft.DynamicQuantizeMatMul (x, a, s4, z4) r = Relu (h) y = com.microsoft.DynamicQuantizeMatMul (r, c, s, z)",
        .constants = "uint8[3,4] a = {1, 250, 3, 40, 5, 60, 7, 8, 99, 10, 110, 12}, uint8[4,2] c = {1, 200, 3, 4, 50, 6, 70, 8}, float s = {0.5}, uint8 z = {128}, "
                     "float[4] s4 = {0.1, 0.2, 0.3, 0.4}, uint8[4] z4 = {3, 128, 200, 7}"},
       "a", 1},
      {"an embedding of integers with a zero point, looked up and dequantised then, in front of a root mean square of several operators",
       {.inputs = "int64[1,4] x", .outputs = "float[1,4,2] y", .weights = {{"gamma", {6}}, {"b", {6, 2}}},
        .nodes = "g = Gather (e, x) h = DequantizeLinear (g, s, z) q = Mul (h, h) m = ReduceMean <axes = [2]> (q) p = Add (m, eps) r = Sqrt (p) n = Div (h, r) "
                 "k = Mul (n, gamma) y = MatMul (k, b)",
        .constants = "uint8[3,6] e = {1, 250, 3, 40, 5, 60, 7, 8, 99, 10, 110, 12, 13, 214, 15, 160, 17, 180}, float s = {0.1}, uint8 z = {122}, float eps = {0.5}"},
       "e", 1},
      {"a tied autoencoder",
       {.inputs = "float[2,3] x", .outputs = "float[2,3] y", .weights = {{"w", {3, 6}}, {"b", {6}}, {"o", {3}}},
        .nodes = "h = Gemm (x, w, b) r = Relu (h) y = Gemm <transB = 1> (r, w, o)"},
       "w", 1},
      {"weights that are quantised and dequantised again in the graph",
       {.inputs = "float[2,3] x", .outputs = "float[2,2] y", .weights = {{"a", {3, 4}}, {"d", {4, 2}}},
        .nodes = "q = QuantizeLinear <axis = 1> (a, s4, z4) f = DequantizeLinear <axis = 1> (q, s4, z4) h = MatMul (x, f) r = Relu (h) y = MatMul (r, d)",
        .constants = "float[4] s4 = {0.01, 0.02, 0.03, 0.04}, int8[4] z4 = {0, 0, 0, 0}"},
       "s4", 0},
      {"ScatterElements of messages along edges, as graph networks write it",
       {.inputs = "float[5,3] x, int64[4,1] to, int64[4] from", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"k", {3, 6}}, {"d", {6, 2}}},
        .nodes = "h = MatMul (x, a) m = Gather <axis = 0> (h, from) i = Expand (to, edges) z = ConstantOfShape (nodes) "
                 "s = ScatterElements <axis = 0, reduction = \"add\"> (z, i, m) o = MatMul (x, k) u = Add (s, o) r = Relu (u) y = MatMul (r, d)",
        .constants = "int64[2] edges = {4, 6}, int64[2] nodes = {5, 6}", .opset = 18},
       "a", 1},
      {"ScatterND of rows",
       {.inputs = "float[5,3] x, int64[2,1] at", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"k", {2, 6}}, {"d", {6, 2}}},
        .nodes = "h = MatMul (x, a) s = ScatterND (h, at, k) y = MatMul (s, d)", .opset = 18},
       "k", 1},
      {"an assignment to a slice of the channels, its grid of positions stored",
       {.inputs = "float[1,3,4] x", .outputs = "float[1,2,4] y", .weights = {{"a", {6, 3, 1}}, {"b", {3, 3, 1}}, {"d", {2, 6, 1}}},
        .nodes = "h = Conv (x, a) k = Conv (x, b) s = ScatterND (h, at, k) y = Conv (s, d)", .constants = "int64[1,3,2] at = {0, 5, 0, 1, 0, 2}", .opset = 18},
       "b", 0},
      {"an assignment to a slice of the channels, its grid of positions computed from lists",
       {.inputs = "float[1,3,4] x", .outputs = "float[1,2,4] y", .weights = {{"a", {6, 3, 1}}, {"b", {3, 3, 1}}, {"d", {2, 6, 1}}},
        .nodes = "h = Conv (x, a) k = Conv (x, b) e0 = Expand (batch, grid) e1 = Expand (channels, grid) u0 = Unsqueeze (e0, last) u1 = Unsqueeze (e1, last) "
                 "at = Concat <axis = -1> (u0, u1) s = ScatterND (h, at, k) y = Conv (s, d)",
        .constants = "int64[1,1] batch = {0}, int64[3] channels = {1, 2, 4}, int64[2] grid = {1, 3}, int64[1] last = {-1}", .opset = 18},
       "b", 0},
      {"an assignment to one place of all channels",
       {.inputs = "float[1,3,4] x", .outputs = "float[1,2,4] y", .weights = {{"a", {6, 3, 1}}, {"k", {1, 6, 1}}, {"d", {2, 6, 1}}},
        .nodes = "h = Conv (x, a) s = ScatterND (h, at, k) y = Conv (s, d)",
        .constants = "int64[1,6,1,3] at = {0, 0, 2, 0, 1, 2, 0, 2, 2, 0, 3, 2, 0, 4, 2, 0, 5, 2}", .opset = 18},
       "k", 1},
      {"GatherElements along another axis",
       {.inputs = "float[5,3] x, int64[2,1] at", .outputs = "float[2,2] y", .weights = {{"a", {3, 6}}, {"d", {6, 2}}},
        .nodes = "h = MatMul (x, a) i = Expand (at, two) s = GatherElements <axis = 0> (h, i) y = MatMul (s, d)", .constants = "int64[2] two = {2, 6}", .opset = 18},
       "a", 1},
      {"TensorScatter into a cache",
       {.inputs = "float[1,2,3] x, int64[1] at", .outputs = "float[1,5,2] y", .weights = {{"a", {3, 6}}, {"cache", {1, 5, 6}}, {"d", {6, 2}}},
        .nodes = "h = MatMul (x, a) s = TensorScatter (cache, h, at) y = MatMul (s, d)", .opset = 24},
       "cache", 2},
      {"EmbedLayerNormalization in front of fused layers, as an optimised BERT has them",
       {.inputs = "int64[1,4] ids, int64[1,4] kinds, int64[1,4] mask", .outputs = "float[1,4,2] y",
        .weights = {{"words", {7, 6}}, {"places", {5, 6}}, {"segments", {2, 6}}, {"g", {6}}, {"b", {6}}, {"w", {6, 24}}, {"wb", {24}}, {"o", {8, 6}}, {"ob", {6}},
                    {"u", {6, 10}}, {"ub", {10}}, {"d", {10, 6}}, {"c", {6, 2}}},
        .nodes = "i = Cast <to = 6> (ids) k = Cast <to = 6> (kinds) m = Cast <to = 6> (mask) "
                 "e, lengths = com.microsoft.EmbedLayerNormalization (i, k, words, places, segments, g, b, m) "
                 "h = com.microsoft.Attention <num_heads = 4> (e, w, wb, lengths) t = MatMul (h, o) n = com.microsoft.SkipLayerNormalization (t, e, g, b, ob) "
                 "f = MatMul (n, u) q = com.microsoft.FastGelu (f, ub) p = MatMul (q, d) y = MatMul (p, c)"},
       "u", 1},
      {"a mixture of experts",
       {.inputs = "float[4,3] x", .outputs = "float[4,3] y", .weights = {{"r", {3, 2}}, {"f", {2, 5, 3}}, {"fb", {2, 5}}, {"s", {2, 3, 5}}, {"sb", {2, 3}}},
        .nodes = "p = MatMul (x, r) y = com.microsoft.MoE <k = 1, activation_type = \"silu\"> (x, p, f, fb, s, sb)"},
       "f", 1},
      {"recurrent linear attention behind a causal convolution and in front of a gated norm, as hybrid language models have them",
       {.inputs = "float[1,3,4] x", .outputs = "float[1,3,2] y",
        .weights = {{"q", {4, 6}}, {"k", {4, 6}}, {"v", {4, 9}}, {"cw", {9, 1, 2}}, {"cb", {9}}, {"a", {4, 3}}, {"e", {4, 3}}, {"ab", {3}}, {"as", {3}}, {"g", {4, 9}},
                    {"gs", {3}}, {"d", {9, 2}}},
        .nodes = "i = MatMul (x, q) j = MatMul (x, k) l = MatMul (x, v) t = Transpose <perm = [0, 2, 1]> (l) "
                 "c = com.microsoft.CausalConvWithState <activation = \"silu\"> (t, cw, cb) u = Transpose <perm = [0, 2, 1]> (c) "
                 "m = MatMul (x, a) n = MatMul (x, e) decay, rate = com.microsoft.LinearAttentionGate (m, ab, as, n) "
                 "h = com.microsoft.LinearAttention <q_num_heads = 3, kv_num_heads = 3, update_rule = \"gated_delta\"> (i, j, u, , decay, rate) "
                 "o = MatMul (x, g) r = com.microsoft.GatedRMSNorm (h, gs, o) y = MatMul (r, d)"},
       "v", 1, "head"},
      {"parts of a sequence",
       {.inputs = "float[1,4,3] x", .outputs = "float[1,4,2] y", .weights = {{"a", {3, 8}}, {"d", {4, 2}}},
        .nodes = "h = MatMul (x, a) s = SplitToSequence <axis = 2> (h, four) g = SequenceAt (s, zero) u = SequenceAt (s, last) v = Sigmoid (g) e = Mul (u, v) y = MatMul (e, d)",
        .constants = "int64 four = {4}, int64 zero = {0}, int64 last = {-1}"},
       "a", 1},
      {"a sequence joined again",
       {.inputs = "float[1,4,3] x", .outputs = "float[1,4,2] y", .weights = {{"a", {3, 4}}, {"b", {3, 2}}, {"d", {6, 2}}},
        .nodes = "h = MatMul (x, a) k = MatMul (x, b) s = SequenceConstruct (h) t = SequenceInsert (s, k, zero) j = ConcatFromSequence <axis = 2> (t) y = MatMul (j, d)",
        .constants = "int64 zero = {0}"},
       "a", 1},
      {"a stack of a sequence, each element by itself again",
       {.inputs = "float[1,4,3] x", .outputs = "float[1,4,2] y", .weights = {{"a", {3, 4}}, {"b", {3, 4}}, {"d", {4, 2}}},
        .nodes = "h = MatMul (x, a) k = MatMul (x, b) s = SequenceConstruct (h, k) j = ConcatFromSequence <axis = 0, new_axis = 1> (s) r = Relu (j) "
                 "p = SplitToSequence <axis = 0, keepdims = 0> (r) u = SequenceAt (p, one) y = MatMul (u, d)",
        .constants = "int64 one = {1}"},
       "d", 0},
      {"Col2Im", {.inputs = "float[1,9,3] x", .outputs = "float[1,2,4,4] y", .weights = {{"a", {3, 16}}, {"d", {2, 4, 1, 1}}},
                  .nodes = "h = MatMul (x, a) t = Transpose <perm = [0, 2, 1]> (h) i = Col2Im (t, size, block) y = Conv (i, d)",
                  .constants = "int64[2] size = {4, 4}, int64[2] block = {2, 2}", .opset = 18},
       "d", 1},
      {"CenterCropPad", {.inputs = image, .outputs = "float[1,2,4,7] y", .weights = {{"a", {4, 3, 1, 1}}, {"d", {2, 4, 1, 1}}},
                         .nodes = "h = Conv (x, a) c = CenterCropPad <axes = [2, 3]> (h, size) y = Conv (c, d)", .constants = "int64[2] size = {4, 7}", .opset = 18},
       "a", 0},
      {"Compress of positions", {.inputs = sequence, .outputs = "float[1,2,2] y", .weights = {{"a", {3, 6}}, {"d", {6, 2}}},
                                 .nodes = "h = MatMul (x, a) c = Compress <axis = 1> (h, which) y = MatMul (c, d)", .constants = "bool[4] which = {1, 0, 1, 0}"},
       "a", 1},
      {"CropAndResize", {.inputs = image, .outputs = "float[1,2,2,2] y", .weights = {{"a", {4, 3, 1, 1}}, {"d", {2, 4, 1, 1}}},
                         .nodes = "h = Conv (x, a) g = com.microsoft.CropAndResize (h, boxes, picture, size) y = Conv (g, d)",
                         .constants = "float[1,4] boxes = {0, 0, 0.5, 0.5}, int32[1] picture = {0}, int32[2] size = {2, 2}"},
       "a", 0},
      {"GatedAdd and ScaledSiLU", {.inputs = sequence, .outputs = "float[1,4,2] y", .weights = {{"a", {3, 6}}, {"b", {3, 6}}, {"c", {3, 6}}, {"d", {6, 2}}},
                                   .nodes = "h = MatMul (x, a) i = MatMul (x, b) j = MatMul (x, c) k = com.microsoft.ScaledSiLU <alpha = 2.0> (j) "
                                            "g = com.microsoft.GatedAdd (h, i, k) m = ReduceSum <keepdims = 1> (g, two) e = MatMul (g, d) y = Add (e, m)",
                                   .constants = "int64[1] two = {2}"},
       "a", 1},
      {"DynamicQuantizeLSTM",
       {.inputs = "float[3,1,2] x", .outputs = "float[3,1,2] y", .weights = {{"b", {1, 16}}, {"f", {2, 2}}},
        .nodes = "h = com.microsoft.DynamicQuantizeLSTM <hidden_size = 2> (x, w, r, b, , , , , ws, wz, rs, rz) s = Squeeze (h, one) y = MatMul (s, f)",
        .constants = "int8[1,2,8] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, -11, 12, 13, 14, 15, -16}, int8[1,2,8] r = {5, -2, 3, 7, 5, -6, 7, 8, 9, 1, -11, 12, 3, 14, 15, -16}, "
                     "float[1,8] ws = {0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2}, int8[1] wz = {0}, float[1] rs = {0.05}, int8[1] rz = {0}, int64[1] one = {1}"},
       "r", 1},
      {"QAttention",
       {.inputs = "float[1,2,2] x", .outputs = "float[1,2,2] y", .weights = {{"wb", {12}}, {"o", {4, 2}}},
        .nodes = "q, s, z = DynamicQuantizeLinear (x) h = com.microsoft.QAttention <num_heads = 2> (q, w, wb, s, ws, , z, wz) y = MatMul (h, o)",
        .constants = "int8[2,12] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, -11, 12, 13, 14, 15, -16, 1, -2, 3, 4, 5, -6, 7, 8}, float ws = {0.05}, int8 wz = {0}"},
       "o", 0, "head"},
      {"an If that every run decides alike, as exporters write it around a rank",
       {.inputs = "float[n,3] x", .outputs = "float[n,2] y", .weights = {{"a", {3, 6}}, {"d", {6, 2}}},
        .nodes = "h = MatMul (x, a) s = Shape (h) r = Size (s) c = Equal (r, none) i = If (c) <then_branch = graph () => (t) { f = Constant <value_ints = [-1]> () "
                 "t = Reshape (h, f) }, else_branch = graph () => (e) { e = Relu (h) }> y = MatMul (i, d)",
        .constants = "int64 none = {0}"},
       "a", 1},
      {"tied embeddings", {.inputs = "int64[1,4] x", .outputs = "float[1,4,7] y", .weights = {{"e", {7, 6}}, {"w", {6, 6}}},
                           .nodes = "h = Gather (e, x) m = MatMul (h, w) t = Transpose <perm = [1, 0]> (e) y = MatMul (m, t)"},
       "e", 1},
  };
}

}  // namespace

TEST_CASE("of every operator family with a rule units are cut, and masked model equals shrunk model", "[pipeline][cut][families]") {
  for (const Family& family : families()) {
    const std::string model = text_with_domains(family.graph);
    INFO(family.name << ": " << model);
    const TextModel text(model);
    ModelFile file = text.load();
    const Recipe recipe = read_recipe(parse_yaml("{prune: [{pattern: " + family.pattern + ", criterion: random, sparsity: 0.5, min_density: 0}]}", ""), "");
    const CutPlan plan = plan_cut(file, recipe);
    const auto cut = std::find_if(plan.cut.tensors.begin(), plan.cut.tensors.end(), [&](const TensorCut& one) { return one.tensor == family.tensor; });
    REQUIRE(cut != plan.cut.tensors.end());
    CHECK(cut->after[static_cast<size_t>(family.axis)] < cut->before[static_cast<size_t>(family.axis)]);
    const CutOutput output = write_cut(file, plan, {}, text.path() + ".cut.onnx", true);
    const ModelFile written = output.writer->reopen();
    const std::vector<VerificationResult> checks = verify_cut(*output.masked, written, plan, {});
    CHECK(std::any_of(checks.begin(), checks.end(), [](const VerificationResult& check) { return check.check == "outputs_equal"; }));
    for (const VerificationResult& check : checks) {
      INFO(check.check << ": " << check.detail);
      CHECK(check.passed);
    }
  }
}
