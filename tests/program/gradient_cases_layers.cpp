#include "program/gradient_cases.h"

namespace sparsify {

std::vector<GradientCase> layer_gradient_cases() {
  return {
      {"Conv", "double[1, 2, 4, 4] x, double[3, 2, 3, 3] w, double[3] b", "y = Conv <pads = [1, 1, 1, 1]> (x, w, b)"},
      {"Conv", "double[1, 4, 5] x, double[4, 2, 2] w", "y = Conv <group = 2, strides = [2], dilations = [2], pads = [1, 0]> (x, w)"},
      {"Conv", "double[1, 2, 3, 3] x, double[2, 1, 2, 2] w", "y = Conv <auto_pad = \"SAME_UPPER\", group = 2> (x, w)"},
      {"Conv", "double[1, 1, 2, 3, 2] x, double[2, 1, 2, 2, 1] w", "y = Conv (x, w)"},
      {"ConvTranspose", "double[1, 2, 3, 3] x, double[2, 2, 2, 2] w, double[2] b", "y = ConvTranspose <strides = [2, 2], output_padding = [1, 1]> (x, w, b)"},
      {"ConvTranspose", "double[1, 2, 3] x, double[2, 1, 3] w", "y = ConvTranspose <strides = [2], pads = [1, 0], group = 2> (x, w)"},
      {"DeformConv", "double[1, 2, 4, 4] x, double[2, 2, 2, 2] w, double[1, 8, 3, 3] o, double[2] b, double[1, 4, 3, 3] m", "y = DeformConv (x, w, o, b, m)", "", 0.13, 0.81},
      {"CausalConvWithState", "double[1, 2, 4] x, double[2, 1, 3] w, double[2] b, double[1, 2, 2] p", "y, z = CausalConvWithState <activation = \"silu\"> (x, w, b, p)", "", -1.7, 1.9, 27},

      {"AveragePool", "double[1, 1, 4, 4] x", "y = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1], strides = [2, 1]> (x)"},
      {"AveragePool", "double[1, 1, 5] x", "y = AveragePool <kernel_shape = [2], count_include_pad = 1, ceil_mode = 1, strides = [2], pads = [1, 0]> (x)"},
      {"AveragePool", "double[1, 1, 5, 5] x", "y = AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (x)"},
      {"MaxPool", "double[1, 2, 4, 4] x", "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)"},
      {"MaxPool", "double[1, 1, 5, 5] x", "y, i = MaxPool <kernel_shape = [2, 2], dilations = [2, 2], pads = [1, 0, 0, 1], ceil_mode = 1> (x)"},
      {"LpPool", "double[1, 1, 4, 4] x", "y = LpPool <kernel_shape = [2, 2], p = 3> (x)"},
      {"GlobalAveragePool", "double[1, 2, 3, 2] x", "y = GlobalAveragePool (x)"},
      {"GlobalMaxPool", "double[1, 2, 3, 2] x", "y = GlobalMaxPool (x)"},
      {"GlobalLpPool", "double[1, 2, 3, 2] x", "y = GlobalLpPool <p = 2> (x)"},
      {"MaxRoiPool", "double[1, 1, 5, 5] x", "y = MaxRoiPool <pooled_shape = [2, 2]> (x, r)", "double[1, 5] r = {0, 0, 0, 4, 4}"},
      {"RoiAlign", "double[1, 1, 5, 5] x", "y = RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2> (x, r, b)", "double[1, 4] r = {0.3, 0.7, 3.1, 3.9}, int64[1] b = {0}"},
      {"RoiAlign", "double[1, 1, 5, 5] x", "y = RoiAlign <mode = \"max\", output_height = 2, output_width = 2, sampling_ratio = 2> (x, r, b)", "double[1, 4] r = {0.3, 0.7, 3.1, 3.9}, int64[1] b = {0}"},
      {"Resize", "double[1, 1, 3, 3] x", "y = Resize <mode = \"linear\"> (x, , s)", "float[4] s = {1, 1, 2, 1.5}"},
      {"Resize", "double[1, 1, 4, 4] x", "y = Resize <mode = \"cubic\", coordinate_transformation_mode = \"align_corners\"> (x, , , n)", "int64[4] n = {1, 1, 6, 3}"},
      {"Resize", "double[1, 1, 4, 4] x", "y = Resize <mode = \"linear\", antialias = 1> (x, , , n)", "int64[4] n = {1, 1, 2, 3}"},
      {"Resize", "double[1, 1, 3, 3] x", "y = Resize <mode = \"nearest\", coordinate_transformation_mode = \"asymmetric\", nearest_mode = \"floor\"> (x, , s)", "float[4] s = {1, 1, 2, 2}"},
      {"Upsample", "double[1, 1, 2, 3] x", "y = Upsample <mode = \"linear\"> (x, s)", "float[4] s = {1, 1, 2, 2}", -1.7, 1.9, 9},
      {"GridSample", "double[1, 2, 4, 4] x, double[1, 2, 3, 2] g", "y = GridSample <align_corners = 1> (x, g)", "", -0.83, 0.87},
      {"GridSample", "double[1, 1, 4, 4] x, double[1, 2, 2, 2] g", "y = GridSample <mode = \"cubic\", padding_mode = \"border\"> (x, g)", "", -0.83, 0.87},
      {"GridSample", "double[1, 1, 4, 4] x, double[1, 2, 2, 2] g", "y = GridSample <padding_mode = \"reflection\"> (x, g)", "", -1.33, 1.27},
      {"GridSample", "double[1, 1, 3, 3, 3] x, double[1, 1, 2, 2, 3] g", "y = GridSample (x, g)", "", -0.63, 0.57},
      {"AffineGrid", "double[1, 2, 3] t", "y = AffineGrid <align_corners = 1> (t, s)", "int64[4] s = {1, 1, 2, 3}"},

      {"BatchNormalization", "double[2, 3, 2] x, double[3] s, double[3] b, double[3] m, double[3] v", "y = BatchNormalization (x, s, b, m, v)", "", 0.3, 2},
      {"BatchNormalization", "double[2, 3, 2] x, double[3] s, double[3] b", "y = BatchNormalization (x, s, b, m, v)", "double[3] m = {0, 0, 0}, double[3] v = {1, 1, 1}", -1.7, 1.9, 23, true},
      {"BatchNormalization", "double[2, 3, 2] x, double[3] s, double[3] b", "y, n, o = BatchNormalization <training_mode = 1> (x, s, b, m, v)", "double[3] m = {0, 0, 0}, double[3] v = {1, 1, 1}"},
      {"InstanceNormalization", "double[2, 3, 4] x, double[3] s, double[3] b", "y = InstanceNormalization (x, s, b)"},
      {"GroupNormalization", "double[1, 4, 3] x, double[4] s, double[4] b", "y = GroupNormalization <num_groups = 2> (x, s, b)"},
      {"GroupNormalization", "double[1, 4, 3] x, double[2] s, double[2] b", "y = GroupNormalization <num_groups = 2> (x, s, b)", "", -1.7, 1.9, 18},
      {"LayerNormalization", "double[2, 4] x, double[4] s, double[4] b", "y = LayerNormalization (x, s, b)"},
      {"LayerNormalization", "double[2, 3, 2] x, double[3, 2] s", "y, m, z = LayerNormalization <axis = 1> (x, s)"},
      {"RMSNormalization", "double[2, 4] x, double[4] s", "y = RMSNormalization (x, s)"},
      {"SimplifiedLayerNormalization", "double[2, 4] x, double[4] s", "y, z = SimplifiedLayerNormalization (x, s)"},
      {"LRN", "double[1, 5, 2] x", "y = LRN <size = 3, alpha = 0.3, beta = 0.6, bias = 1.5> (x)"},
      {"LpNormalization", "double[2, 3] x", "y = LpNormalization <p = 1> (x)"},
      {"LpNormalization", "double[2, 3] x", "y = LpNormalization <axis = 0> (x)"},
      {"MeanVarianceNormalization", "double[2, 2, 2, 2] x", "y = MeanVarianceNormalization (x)"},

      {"RNN", "double[3, 2, 2] x, double[2, 3, 2] w, double[2, 3, 3] r, double[2, 6] b, double[2, 2, 3] h", "y, z = RNN <hidden_size = 3, direction = \"bidirectional\"> (x, w, r, b, n, h)", "int32[2] n = {3, 2}"},
      {"GRU", "double[3, 1, 2] x, double[1, 6, 2] w, double[1, 6, 2] r, double[1, 12] b, double[1, 1, 2] h", "y, z = GRU <hidden_size = 2, linear_before_reset = 1> (x, w, r, b, , h)"},
      {"GRU", "double[3, 1, 2] x, double[1, 6, 2] w, double[1, 6, 2] r", "y = GRU <hidden_size = 2, direction = \"reverse\"> (x, w, r)"},
      {"LSTM", "double[2, 1, 2] x, double[1, 8, 2] w, double[1, 8, 2] r, double[1, 16] b, double[1, 1, 2] h, double[1, 1, 2] c, double[1, 6] p", "y, i, z = LSTM <hidden_size = 2> (x, w, r, b, , h, c, p)"},
      {"LSTM", "double[1, 2, 2] x, double[1, 8, 2] w, double[1, 8, 2] r", "y = LSTM <hidden_size = 2, layout = 1, input_forget = 1> (x, w, r)"},

      {"Attention", "double[1, 2, 3, 2] q, double[1, 2, 4, 2] k, double[1, 2, 4, 3] v, double[3, 4] m", "y = Attention (q, k, v, m)"},
      {"Attention", "double[1, 3, 4] q, double[1, 3, 2] k, double[1, 3, 2] v", "y = Attention <q_num_heads = 2, kv_num_heads = 1, is_causal = 1, scale = 0.6, softcap = 1.5> (q, k, v)"},
      {"Attention", "double[1, 1, 2, 2] q, double[1, 1, 2, 2] k, double[1, 1, 2, 2] v, double[1, 1, 1, 2] c, double[1, 1, 1, 2] d", "y, z, e, s = Attention (q, k, v, , c, d)"},
      {"RotaryEmbedding", "double[1, 2, 3, 4] x, double[3, 2] c, double[3, 2] s", "y = RotaryEmbedding (x, c, s, p)", "int64[1, 3] p = {0, 2, 1}"},
      {"RotaryEmbedding", "double[1, 2, 8] x, double[1, 2, 1] c, double[1, 2, 1] s", "y = RotaryEmbedding <interleaved = 1, num_heads = 2, rotary_embedding_dim = 2> (x, c, s)"},
      {"LinearAttention", "double[1, 3, 2] q, double[1, 3, 2] k, double[1, 3, 2] v, double[1, 1, 2, 2] s, double[1, 3, 2] d, double[1, 3, 1] b", "y, z = LinearAttention <q_num_heads = 1, kv_num_heads = 1> (q, k, v, s, d, b)", "", -0.9, 0.7, 27},
      {"ai.onnx.preview.FlexAttention", "double[1, 2, 2, 2] q, double[1, 1, 3, 2] k, double[1, 1, 3, 2] v", R"(y = ai.onnx.preview.FlexAttention (q, k, v)
        <score_mod = mod (double[1, 2, 2, 3] s) => (double[1, 2, 2, 3] t) { t = Tanh (s) }>)"},

      {"NegativeLogLikelihoodLoss", "double[3, 4] x, double[4] w", "y = NegativeLogLikelihoodLoss (x, t, w)", "int64[3] t = {1, 3, 0}", 0.3, 1.9},
      {"NegativeLogLikelihoodLoss", "double[2, 3, 2] x", "y = NegativeLogLikelihoodLoss <reduction = \"none\", ignore_index = 1> (x, t)", "int64[2, 2] t = {1, 2, 0, 0}"},
      {"SoftmaxCrossEntropyLoss", "double[3, 4] x, double[4] w", "y, z = SoftmaxCrossEntropyLoss (x, t, w)", "int64[3] t = {1, 3, 0}", 0.3, 1.9},
      {"SoftmaxCrossEntropyLoss", "double[3, 4] x", "y = SoftmaxCrossEntropyLoss <reduction = \"sum\"> (x, t)", "int64[3] t = {1, 3, 0}"},

      {"DFT", "double[1, 5, 2] x", "y = DFT (x, , axis)", "int64 axis = {1}"},
      {"DFT", "double[1, 4, 1] x", "y = DFT <onesided = 1> (x, , axis)", "int64 axis = {1}"},
      {"DFT", "double[1, 4, 2] x", "y = DFT <inverse = 1> (x, n, axis)", "int64 axis = {1}, int64 n = {6}"},
      {"STFT", "double[1, 8, 1] x, double[4] w", "y = STFT (x, step, w)", "int64 step = {2}"},
  };
}

}  // namespace sparsify
