#include "program/gradient_cases.h"

namespace sparsify {

std::vector<GradientCase> movement_gradient_cases() {
  return {
      {"Reshape", "double[2, 3] x", "y = Reshape (x, s)", "int64[2] s = {3, -1}"},
      {"Flatten", "double[2, 3, 2] x", "y = Flatten <axis = 2> (x)"},
      {"Squeeze", "double[2, 1, 3] x", "y = Squeeze (x, axes)", "int64[1] axes = {1}"},
      {"Unsqueeze", "double[2, 3] x", "y = Unsqueeze (x, axes)", "int64[2] axes = {0, -1}"},
      {"Transpose", "double[2, 3, 2] x", "y = Transpose <perm = [2, 0, 1]> (x)"},
      {"Expand", "double[2, 1] x", "y = Expand (x, s)", "int64[3] s = {2, 1, 3}"},
      {"Tile", "double[2, 3] x", "y = Tile (x, r)", "int64[2] r = {2, 3}"},
      {"Concat", "double[2, 3] a, double[2, 1] b", "y = Concat <axis = 1> (a, b)"},
      {"Split", "double[5, 2] x", "y, z = Split (x, s)", "int64[2] s = {2, 3}"},
      {"Slice", "double[4, 5] x", "y = Slice (x, b, e, a, s)", "int64[2] b = {-1, 0}, int64[2] e = {-100, 4}, int64[2] a = {0, 1}, int64[2] s = {-2, 3}"},
      {"Pad", "double[2, 3] x", "y = Pad (x, p)", "int64[4] p = {1, 0, 0, -1}"},
      {"Pad", "double[2, 4] x", "y = Pad <mode = \"reflect\"> (x, p)", "int64[4] p = {0, 2, 1, 1}"},
      {"Pad", "double[2, 4] x", "y = Pad <mode = \"edge\"> (x, p)", "int64[4] p = {1, 2, 0, 1}"},
      {"Pad", "double[2, 4] x", "y = Pad <mode = \"wrap\"> (x, p)", "int64[4] p = {0, 2, 0, 3}"},
      {"CenterCropPad", "double[4, 3] x", "y = CenterCropPad (x, s)", "int64[2] s = {2, 6}"},
      {"DepthToSpace", "double[1, 4, 1, 2] x", "y = DepthToSpace <blocksize = 2, mode = \"CRD\"> (x)"},
      {"SpaceToDepth", "double[1, 1, 2, 4] x", "y = SpaceToDepth <blocksize = 2> (x)"},
      {"ReverseSequence", "double[3, 2] x", "y = ReverseSequence (x, n)", "int64[2] n = {2, 3}"},
      {"Trilu", "double[3, 4] x", "y = Trilu <upper = 0> (x, k)", "int64 k = {1}"},
      {"Gather", "double[3, 2] x", "y = Gather (x, i)", "int64[2, 2] i = {0, 2, -1, 0}"},
      {"Gather", "double[3, 2] x", "y = Gather <axis = 1> (x, i)", "int64 i = {1}"},
      {"GatherElements", "double[3, 2] x", "y = GatherElements <axis = 1> (x, i)", "int64[3, 1] i = {0, 1, -1}"},
      {"GatherND", "double[3, 2] x", "y = GatherND (x, i)", "int64[2, 2] i = {0, 1, 2, 0}"},
      {"GatherND", "double[2, 3, 2] x", "y = GatherND <batch_dims = 1> (x, i)", "int64[2, 1] i = {1, 2}"},
      {"ScatterElements", "double[3, 2] x, double[2, 2] u", "y = ScatterElements (x, i, u)", "int64[2, 2] i = {0, 2, 1, 0}"},
      {"ScatterElements", "double[3, 2] x, double[2, 2] u", "y = ScatterElements <reduction = \"add\"> (x, i, u)", "int64[2, 2] i = {0, 2, 0, 2}"},
      {"ScatterElements", "double[3, 2] x, double[2, 2] u", "y = ScatterElements <reduction = \"mul\"> (x, i, u)", "int64[2, 2] i = {0, 2, 0, 1}", 0.4, 1.7},
      {"ScatterElements", "double[3, 2] x, double[2, 2] u", "y = ScatterElements <reduction = \"max\"> (x, i, u)", "int64[2, 2] i = {0, 2, 0, 1}"},
      {"Scatter", "double[3, 2] x, double[1, 2] u", "y = Scatter (x, i, u)", "int64[1, 2] i = {2, 1}", -1.7, 1.9, 9},
      {"ScatterND", "double[4, 2] x, double[2, 2] u", "y = ScatterND (x, i, u)", "int64[2, 1] i = {3, 1}"},
      {"ScatterND", "double[4, 2] x, double[2, 2] u", "y = ScatterND <reduction = \"add\"> (x, i, u)", "int64[2, 1] i = {1, 1}"},
      {"ScatterND", "double[4] x, double[3] u", "y = ScatterND <reduction = \"mul\"> (x, i, u)", "int64[3, 1] i = {1, 2, 1}", 0.4, 1.7},
      {"ScatterND", "double[4] x, double[3] u", "y = ScatterND <reduction = \"min\"> (x, i, u)", "int64[3, 1] i = {1, 2, 0}"},
      {"TensorScatter", "double[2, 1, 4, 2] x, double[2, 1, 2, 2] u", "y = TensorScatter (x, u, at)", "int64[2] at = {1, 2}", -1.7, 1.9, 24},
      {"OneHot", "double[2] v", "y = OneHot (i, d, v)", "int64[3] i = {0, 2, 1}, int64 d = {3}"},
      {"Compress", "double[3, 2] x", "y = Compress <axis = 0> (x, c)", "bool[3] c = {1, 0, 1}"},
      {"TopK", "double[2, 4] x", "y, i = TopK <largest = 0> (x, k)", "int64[1] k = {2}"},
      {"Unique", "double[5] x", "y, i, j, n = Unique (x)"},
      {"MaxUnpool", "double[1, 1, 2, 2] x", "y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i)", "int64[1, 1, 2, 2] i = {5, 7, 13, 15}"},
      {"Col2Im", "double[1, 4, 4] x", "y = Col2Im (x, s, b)", "int64[2] s = {3, 3}, int64[2] b = {2, 2}"},

      {"SequenceConstruct", "double[2] a, double[2] b", "s = SequenceConstruct (a, b) y = ConcatFromSequence <axis = 0> (s)"},
      {"ConcatFromSequence", "double[2] a, double[2] b", "s = SequenceConstruct (a, b) y = ConcatFromSequence <axis = 1, new_axis = 1> (s)"},
      {"SequenceInsert", "double[2] a, double[2] b", "s = SequenceConstruct (a) t = SequenceInsert (s, b, p) y = ConcatFromSequence <axis = 0> (t)", "int64 p = {0}"},
      {"SequenceErase", "double[2] a, double[2] b", "s = SequenceConstruct (a, c, b) t = SequenceErase (s, p) y = ConcatFromSequence <axis = 0> (t)", "int64 p = {1}, double[2] c = {1, 2}"},
      {"SequenceAt", "double[2] a", "s = SequenceConstruct (c, a) y = SequenceAt (s, p)", "int64 p = {-1}, double[2] c = {1, 2}"},
      {"SplitToSequence", "double[4, 2] x", "s = SplitToSequence <axis = 0> (x, n) y = SequenceAt (s, p)", "int64 p = {1}, int64[2] n = {1, 3}"},
      {"SequenceMap", "double[2] a, double[2] b", R"(s = SequenceConstruct (a, b)
        t = SequenceMap (s) <body = body (double[2] e) => (double[2] f) { f = Mul (e, e) }> y = ConcatFromSequence <axis = 0> (t))"},
      {"Optional", "double[2] x", "o = Optional (x) y = OptionalGetElement (o)"},
      {"OptionalGetElement", "double[2] x", "o = Optional (x) y = OptionalGetElement (o)"},

      {"If", "double[2] x", R"(y = If (c) <then_branch = yes () => (double[2] a) { a = Mul (x, x) },
        else_branch = no () => (double[2] b) { b = Neg (x) }>)", "bool c = {1}"},
      {"Loop", "double[2] x, double[2] w", R"(y, z = Loop (n, c, x) <body = body (int64 i, bool go, double[2] s) => (bool g, double[2] t, double[2] u) {
        g = Identity (go) t = Mul (s, w) u = Tanh (t) }>)", "int64 n = {3}, bool c = {1}"},
      {"Scan", "double[2] s, double[3, 2] x", R"(y, z = Scan <num_scan_inputs = 1, body = body (double[2] a, double[2] e) => (double[2] b, double[2] f) {
        b = Mul (a, e) f = Sin (b) }> (s, x))"},
      {"Scan", "double[2] s, double[2, 3] x", R"(y, z = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1], scan_output_axes = [1],
        body = body (double[2] a, double[2] e) => (double[2] b, double[2] f) { b = Mul (a, e) f = Sin (b) }> (s, x))"},
  };
}

}  // namespace sparsify
