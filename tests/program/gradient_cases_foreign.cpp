#include "program/gradient_cases.h"

namespace sparsify {

// A straight-through gradient is that of the unrounded function: with a step of whole quanta the rounding moves with x.
std::vector<GradientCase> foreign_gradient_cases() {
  const std::string adam = "ai.onnx.preview.training.Adam";
  return {
      {"QuantizeLinear", "double[2, 3] x", "q = QuantizeLinear (x, s, z0) y = DequantizeLinear (q, s, z0)", "double s = {0.015625}, uint8 z0 = {128}", -1.7, 1.6, 23, false, 0.125, 1e-9},
      {"QuantizeLinear", "double[2, 2, 3] x", R"(q = QuantizeLinear (x, s, z0) t = Transpose <perm = [0, 2, 1]> (q) u = Reshape (t, n)
        y = DequantizeLinear (u, s, z0))", "double s = {0.015625}, uint8 z0 = {128}, int64[2] n = {-1, 2}", -1.7, 1.6, 23, false, 0.125, 1e-9},
      {"QuantizeLinear", "double[2, 3] x", "q = QuantizeLinear <axis = 1> (x, s) y = DequantizeLinear <axis = 1> (q, s)", "double[3] s = {0.015625, 0.03125, 0.0625}", 0.2, 3, 23, false, 0.125, 1e-9},
      {"DequantizeLinear", "double s", "y = DequantizeLinear (q, s, z0)", "int8[2, 3] q = {1, -5, 7, 100, 3, 2}, int8 z0 = {2}"},
      {"DequantizeLinear", "double[2] s", "y = DequantizeLinear <axis = 0> (q, s)", "int8[2, 3] q = {1, -5, 7, 100, 3, 2}"},
      {"DynamicQuantizeLinear", "float[2, 3] x", "w = Concat <axis = 1> (x, far) q, s, z0 = DynamicQuantizeLinear (w) y = DequantizeLinear (q, s, z0)", "float[2, 2] far = {-128, 127, 0, 0}", -7, 9, 23, false, 1, 1e-4},
      {"QLinearConv", "float[1, 1, 3, 3] x, float[1, 1, 2, 2] w", R"(q = QuantizeLinear (x, s, z0) v = QuantizeLinear (w, s, z0)
        r = QLinearConv (q, s, z0, v, s, z0, t, z0) y = DequantizeLinear (r, t, z0))", "float s = {0.015625}, float t = {0.0009765625}, int8 z0 = {0}", -0.15, 0.2, 23, false, 0.125, 0.02},
      {"QLinearMatMul", "float[2, 2] x, float[2, 2] w", R"(q = QuantizeLinear (x, s, z0) v = QuantizeLinear (w, s, z0)
        r = QLinearMatMul (q, s, z0, v, s, z0, t, z0) y = DequantizeLinear (r, t, z0))", "float s = {0.015625}, float t = {0.001953125}, int8 z0 = {0}", -0.15, 0.2, 21, false, 0.125, 0.02},

      {"ai.onnx.ml.Scaler", "float[2, 3] x", "y = ai.onnx.ml.Scaler <offset = [0.5, 1.0, -1.0], scale = [2.0, 0.5, 3.0]> (x)", "", -1.7, 1.9, 23, false, 1. / 64, 1e-4},
      {"ai.onnx.ml.Normalizer", "float[2, 3] x", "y = ai.onnx.ml.Normalizer <norm = \"L2\"> (x)", "", -1.7, 1.9, 23, false, 1. / 64, 2e-3},
      {"ai.onnx.ml.Normalizer", "float[2, 3] x", "y = ai.onnx.ml.Normalizer <norm = \"MAX\"> (x)", "", 0.4, 1.9, 23, false, 1. / 64, 2e-3},
      {"ai.onnx.ml.Imputer", "float[2, 3] x", "y = ai.onnx.ml.Imputer <imputed_value_floats = [1.0], replaced_value_float = 9.0> (x)", "", -1.7, 1.9, 23, false, 1. / 64, 1e-4},
      {"ai.onnx.ml.FeatureVectorizer", "float[2, 2] a, float[2, 1] b", "y = ai.onnx.ml.FeatureVectorizer <inputdimensions = [2, 1]> (a, b)", "", -1.7, 1.9, 23, false, 1. / 64, 1e-4},
      {"ai.onnx.ml.LinearRegressor", "float[2, 3] x", "y = ai.onnx.ml.LinearRegressor <coefficients = [1.0, 2.0, -3.0], intercepts = [0.5]> (x)", "", -1.7, 1.9, 23, false, 1. / 64, 1e-4},
      {"ai.onnx.ml.LinearClassifier", "float[2, 2] x", R"(i, y = ai.onnx.ml.LinearClassifier <coefficients = [1.0, 2.0, -3.0, 0.5, 1.5, 0.2], intercepts = [0.5, 0.0, 0.1],
        classlabels_ints = [0, 1, 2], post_transform = "SOFTMAX"> (x))", "", -1.7, 1.9, 23, false, 1. / 64, 2e-3},

      {"ai.onnx.preview.training.Adagrad", "double[3] x, double[3] g, double[3] h", "y, z = ai.onnx.preview.training.Adagrad <norm_coefficient = 0.1> (r, t, x, g, h)", "float r = {0.1}, int64 t = {2}", 0.3, 1.7},
      {adam, "double[3] x, double[3] g, double[3] v, double[3] h", "y, z, k = ai.onnx.preview.training.Adam <norm_coefficient = 0.1> (r, t, x, g, v, h)", "float r = {0.1}, int64 t = {2}", 0.3, 1.7},
      {"ai.onnx.preview.training.Momentum", "double[3] x, double[3] g, double[3] v", R"(y, z = ai.onnx.preview.training.Momentum
        <alpha = 0.9, beta = 0.8, mode = "nesterov", norm_coefficient = 0.1> (r, t, x, g, v))", "float r = {0.1}, int64 t = {2}"},

      {"com.microsoft.Gelu", "double[2, 3] x", "y = com.microsoft.Gelu (x)"},
      {"com.microsoft.BiasGelu", "double[2, 3] x, double[3] b", "y = com.microsoft.BiasGelu (x, b)"},
      {"com.microsoft.FastGelu", "double[2, 3] x, double[3] b", "y = com.microsoft.FastGelu (x, b)"},
      {"com.microsoft.QuickGelu", "double[2, 3] x", "y = com.microsoft.QuickGelu <alpha = 1.2> (x)"},
      {"com.microsoft.FusedConv", "double[1, 2, 3, 3] x, double[2, 2, 2, 2] w, double[2] b, double[1, 2, 2, 2] r", R"(y = com.microsoft.FusedConv
        <activation = "LeakyRelu", activation_params = [0.2]> (x, w, b, r))"},
      {"com.microsoft.FusedGemm", "double[2, 3] a, double[3, 4] b, double[4] c", "y = com.microsoft.FusedGemm <activation = \"Tanh\"> (a, b, c)"},
      {"com.microsoft.FusedMatMul", "double[2, 3, 2] a, double[2, 4, 3] b", "y = com.microsoft.FusedMatMul <transA = 1, transB = 1, alpha = 0.5> (a, b)"},
      {"com.microsoft.TransposeMatMul", "double[2, 3] a, double[4, 3] b", "y = com.microsoft.TransposeMatMul <transB = 1> (a, b)"},
      {"com.microsoft.SimplifiedLayerNormalization", "double[2, 4] x, double[4] s", "y = com.microsoft.SimplifiedLayerNormalization (x, s)"},
      {"com.microsoft.SkipLayerNormalization", "double[1, 2, 3] x, double[1, 2, 3] k, double[3] s, double[3] b, double[3] c", "y, m, v, z = com.microsoft.SkipLayerNormalization (x, k, s, b, c)"},
      {"com.microsoft.SkipSimplifiedLayerNormalization", "double[1, 2, 3] x, double[1, 2, 3] k, double[3] s", "y = com.microsoft.SkipSimplifiedLayerNormalization (x, k, s)"},
      {"com.microsoft.EmbedLayerNormalization", "double[5, 3] w, double[4, 3] p, double[2, 3] t, double[3] s, double[3] b", "y, m, z = com.microsoft.EmbedLayerNormalization (i, g, w, p, t, s, b)", "int32[1, 3] i = {4, 0, 2}, int32[1, 3] g = {0, 1, 1}"},
      {"com.microsoft.Attention", "double[1, 3, 2] x, double[2, 12] w, double[12] b, double[1, 2, 3, 3] a", "y, z = com.microsoft.Attention <num_heads = 2> (x, w, b, m, , a)", "int32[1, 3] m = {1, 1, 1}"},
      {"com.microsoft.Attention", "double[1, 3, 2] x, double[2, 6] w, double[6] b", "y = com.microsoft.Attention <num_heads = 1, unidirectional = 1> (x, w, b)"},
      {"com.microsoft.MultiHeadAttention", "double[1, 3, 4] q, double[1, 2, 4] k, double[1, 2, 4] v, double[12] b, double[1, 2, 3, 2] a", "y = com.microsoft.MultiHeadAttention <num_heads = 2> (q, k, v, b, , a)"},
      {"com.microsoft.MultiHeadAttention", "double[1, 2, 2, 3, 2] q", "y = com.microsoft.MultiHeadAttention <num_heads = 2, unidirectional = 1> (q)"},
      {"com.microsoft.GroupQueryAttention", "double[1, 2, 8] q, double[1, 2, 4] k, double[1, 2, 4] v, double[2, 2] c, double[2, 2] s", R"(y, z, h = com.microsoft.GroupQueryAttention
        <num_heads = 2, kv_num_heads = 1, do_rotary = 1> (q, k, v, , , n, t, c, s))", "int32[1] n = {1}, int32 t = {2}"},
      {"com.microsoft.GroupQueryAttention", "double[1, 1, 8] q, double[1, 1, 3, 2] k, double[1, 1, 3, 2] v", R"(y, z, h = com.microsoft.GroupQueryAttention
        <num_heads = 2, kv_num_heads = 1> (q, , , k, v, n, t))", "int32[1] n = {3}, int32 t = {4}"},
      {"com.microsoft.RotaryEmbedding", "double[1, 3, 4] x, double[4, 2] c, double[4, 2] s", "y = com.microsoft.RotaryEmbedding (x, p, c, s)", "int64[1, 3] p = {0, 3, 1}"},
      {"com.microsoft.DynamicQuantizeMatMul", "float[1, 3] x, float[2] b", "w = Concat <axis = 1> (x, far) y = com.microsoft.DynamicQuantizeMatMul (w, q, s, z0, b)", "float[1, 2] far = {-128, 127}, uint8[5, 2] q = {1, 9, 4, 3, 8, 2, 5, 5, 5, 5}, float s = {0.5}, uint8 z0 = {5}", -7, 9, 23, false, 1, 1e-4},
      {"com.microsoft.QuantizeLinear", "double[2, 3] x", "q = com.microsoft.QuantizeLinear (x, s, z0) y = com.microsoft.DequantizeLinear (q, s, z0)", "double s = {0.000244140625}, uint16 z0 = {32768}", -1.7, 1.6, 17, false, 0.125, 1e-9},
      {"com.microsoft.DequantizeLinear", "double s", "y = com.microsoft.DequantizeLinear (q, s, z0)", "int8[2, 3] q = {1, -5, 7, 100, 3, 2}, int8 z0 = {2}", -1.7, 1.9, 17},
      {"com.microsoft.GatherND", "double[3, 2] x", "y = com.microsoft.GatherND (x, i)", "int64[2, 2] i = {0, 1, 2, 0}"},
      {"com.microsoft.Trilu", "double[3, 4] x", "y = com.microsoft.Trilu <upper = 0> (x, k)", "int64 k = {1}"},
      {"com.microsoft.DynamicQuantizeLSTM", "float[2, 1, 1] x, float[1, 8] b", R"(p = Concat <axis = 0> (x, far)
        y, z = com.microsoft.DynamicQuantizeLSTM <hidden_size = 1> (p, q, r, b, , , , , s, z0, s, z0))", "float[2, 1, 1] far = {-1, 0.9921875}, int8[1, 1, 4] q = {2, 4, -2, 1}, int8[1, 1, 4] r = {0, 0, 0, 0}, float[1] s = {0.5}, int8[1] z0 = {0}", -0.8, 0.9, 23, false, 1. / 64, 1e-2},
      {"com.microsoft.MatMulIntegerToFloat", "double s, double[2] t, double[2] b", "y = com.microsoft.MatMulIntegerToFloat (a, q, s, t, z0, z1, b)", "uint8[2, 3] a = {1, 2, 3, 4, 5, 6}, int8[3, 2] q = {1, -2, 3, 4, -5, 6}, uint8 z0 = {2}, int8 z1 = {1}"},
      {"com.microsoft.QLinearConv", "float[1, 3, 3, 1] x, float[1, 1, 2, 2] w", R"(q = QuantizeLinear (x, s, z0) v = QuantizeLinear (w, s, z0)
        r = com.microsoft.QLinearConv <channels_last = 1> (q, s, z0, v, s, z0, t, z0) y = DequantizeLinear (r, t, z0))", "float s = {0.015625}, float t = {0.0009765625}, int8 z0 = {0}", -0.15, 0.2, 23, false, 0.125, 0.02},
      {"com.microsoft.QAttention", "double[6] b, double s, double t", "y = com.microsoft.QAttention <num_heads = 1> (a, q, b, s, t)", "uint8[1, 2, 2] a = {1, 2, 3, 4}, int8[2, 6] q = {1, -2, 3, 4, -5, 6, 1, 0, 2, 1, 3, 2}", 0.1, 0.3},
      {"com.microsoft.QEmbedLayerNormalization", "float s, float t", "y, m = com.microsoft.QEmbedLayerNormalization (i, , a, b, , g, h, , s, t, , s, t)", "int32[1, 2] i = {1, 0}, uint8[2, 3] a = {1, 2, 9, 4, 7, 6}, uint8[2, 3] b = {1, 0, 2, 2, 1, 3}, uint8[3] g = {1, 2, 3}, uint8[3] h = {3, 2, 1}", 0.5, 1.5, 23, false, 1. / 64, 2e-3},
      {"com.microsoft.GatherBlockQuantized", "float[2, 1] s", "y = com.microsoft.GatherBlockQuantized <bits = 8, block_size = 16> (q, i, s)", "uint8[2, 2] q = {1, 2, 200, 4}, int64[2] i = {1, 0}", 0.5, 1.5, 23, false, 1. / 64, 2e-3},
      {"com.microsoft.MatMulBnb4", "double[1, 16] x, double[2] s", "y = com.microsoft.MatMulBnb4 <K = 16, N = 2, block_size = 16, quant_type = 1> (x, q, s)", "uint8[16] q = {18, 52, 86, 120, 154, 188, 222, 240, 1, 35, 69, 103, 137, 171, 205, 239}", -1.7, 1.9, 23, false, 1. / 64, 1e-4},
      {"com.microsoft.NhwcMaxPool", "double[1, 3, 2, 2] x", "y = com.microsoft.NhwcMaxPool <kernel_shape = [2, 2]> (x)"},
      {"com.microsoft.DecoderMaskedMultiHeadAttention", "double[1, 1, 2] q, double[1, 1, 2] k, double[1, 1, 2] v, double[1, 1, 3, 2] p, double[1, 1, 3, 2] r, double[6] b", R"(y, z, w = com.microsoft.DecoderMaskedMultiHeadAttention
        <num_heads = 1, past_present_share_buffer = 1> (q, k, v, , , p, r, n, , , b))", "int32 n = {1}"},
      {"com.microsoft.MRotaryEmbedding", "double[1, 2, 6] x, double[4, 3] c, double[4, 3] s", "y = com.microsoft.MRotaryEmbedding <num_heads = 1, mrope_section = [1, 1, 1]> (x, p, c, s)", "int64[3, 1, 2] p = {0, 3, 1, 2, 0, 1}"},
      {"com.microsoft.LinearAttention", "double[1, 2, 2] q, double[1, 2, 2] k, double[1, 2, 2] v, double[1, 1, 2, 2] s, double[1, 2, 1] d, double[1, 2, 1] r", "y, z = com.microsoft.LinearAttention <q_num_heads = 1, kv_num_heads = 1> (q, k, v, s, d, r)"},
      {"com.microsoft.CausalConvWithState", "double[1, 2, 4] x, double[2, 1, 2] w, double[2] b, double[1, 2, 2] p", "y, z = com.microsoft.CausalConvWithState <dilation = 2, activation = \"silu\"> (x, w, b, p)"},
      {"com.microsoft.LinearAttentionGate", "double[1, 2, 2] a, double[2] b, double[2] s, double[1, 2, 2] r", "y, z = com.microsoft.LinearAttentionGate (a, b, s, r)"},
      {"com.microsoft.GatedRMSNorm", "double[2, 4] x, double[2] s, double[2, 4] g", "y = com.microsoft.GatedRMSNorm (x, s, g)"},
      {"com.microsoft.BranchwiseRMSNorm", "double[2, 4] x, double[4] s", "y = com.microsoft.BranchwiseRMSNorm <num_branches = 2> (x, s)"},
      {"com.microsoft.GatedAdd", "double[2, 3] x, double[2, 3] z, double[2, 1] g", "y = com.microsoft.GatedAdd (x, z, g)"},
      {"com.microsoft.ScaledSiLU", "double[2, 3] x, double s", "y = com.microsoft.ScaledSiLU (x, s)"},
      {"com.microsoft.MoE", "double[2, 2] x, double[2, 3] r, double[3, 2, 2] w, double[3, 2] b, double[3, 2, 2] v, double[3, 2] c", "y = com.microsoft.MoE <k = 2, activation_type = \"silu\"> (x, r, w, b, v, c)"},
      {"com.microsoft.GridSample", "double[1, 1, 3, 3] x, double[1, 2, 2, 2] g", "y = com.microsoft.GridSample (x, g)", "", -0.7, 0.6},
      {"com.microsoft.Pad", "double[2, 3] x", "y = com.microsoft.Pad <mode = \"reflect\"> (x, p)", "int64[4] p = {0, 1, 0, 2}"},
      {"com.microsoft.ConvTransposeWithDynamicPads", "double[1, 2, 3, 3] x, double[2, 1, 2, 2] w, double[1] b", "y = com.microsoft.ConvTransposeWithDynamicPads <strides = [2, 2]> (x, w, p, b)", "int64[4] p = {1, 0, 0, 1}"},
      {"com.microsoft.Inverse", "double[2, 2] x", "i = Add (x, e) y = com.microsoft.Inverse (i)", "double[2, 2] e = {5, 0, 0, 5}"},
      {"com.microsoft.ExpandDims", "double[2, 3] x", "y = com.microsoft.ExpandDims (x, a)", "int32 a = {-1}"},
      {"com.microsoft.CDist", "double[2, 3] x, double[1, 3] z", "y = com.microsoft.CDist (x, z)"},
      {"com.microsoft.UnfoldTensor", "double[2, 5] x", "y = com.microsoft.UnfoldTensor <dim = 1, size = 3, step = 2> (x)"},
      {"com.microsoft.CropAndResize", "double[1, 2, 4, 4] x", "y = com.microsoft.CropAndResize (x, b, i, n)", "double[1, 4] b = {0.1, 0.2, 0.7, 0.9}, int32[1] i = {0}, int32[2] n = {3, 2}"},
      {"Affine", "double[2, 3] x", "y = Affine <alpha = 2.0, beta = 0.5> (x)", "", -1.7, 1.9, 7},
      {"Crop", "double[1, 1, 3, 3] x", "y = Crop <border = [1, 0, 0, 1]> (x)", "", -1.7, 1.9, 7},
      {"ImageScaler", "double[1, 2, 1, 2] x", "y = ImageScaler <bias = [1.0, 2.0], scale = 3.0> (x)", "", -1.7, 1.9, 7},
      {"ParametricSoftplus", "double[2, 3] x", "y = ParametricSoftplus <alpha = 2.0, beta = 0.5> (x)", "", -1.7, 1.9, 7},
      {"Scale", "double[2, 3] x", "y = Scale <scale = 3.0> (x)", "", -1.7, 1.9, 7},
      {"ScaledTanh", "double[2, 3] x", "y = ScaledTanh <alpha = 2.0, beta = 0.5> (x)", "", -1.7, 1.9, 7},
      {"com.microsoft.MatMulNBits", "double[2, 16] x, double[2] s, double[2] b", "y = com.microsoft.MatMulNBits <K = 16, N = 2, bits = 4, block_size = 16> (x, q, s, , , b)", "uint8[2, 1, 8] q = {18, 52, 86, 120, 154, 188, 222, 240, 1, 35, 69, 103, 137, 171, 205, 239}"},
  };
}

}  // namespace sparsify
