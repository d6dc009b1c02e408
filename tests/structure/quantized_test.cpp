// Operators on integers as ONNX Runtime's quantiser writes them: integer weights are cut, scales and zero points pass or go along.
#include "structure/sample.h"

using namespace sparsify;

namespace {

Structure quantised(const std::string& inputs, const std::string& outputs, const std::string& initializers, const std::string& nodes) {
  const TextModel text(fmt::format("<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1]>\ngraph ({}) => ({}) <float s = {{0.1}}, uint8 z = {{100}}, "
                                   "int8 zero = {{0}}, {}> {{ {} }}", inputs, outputs, initializers, nodes));
  return Structure::analyse(text.load(), {});
}

constexpr const char* kConvolutions = "int8[3,2,1,1] a = {1,2,3,4,5,6}, int32[3] ab = {1,2,3}, int8[2,3,1,1] b = {6,5,4,3,2,1}";

}  // namespace

TEST_CASE("quantised activations and pools pass channels between integer convolutions", "[structure][quantized]") {
  for (const char* between : {"h = com.microsoft.QLinearLeakyRelu (c, s, z, s, z)", "h = com.microsoft.QLinearAveragePool <kernel_shape = [1, 1]> (c, s, z, s, z)",
                              "h = com.microsoft.QLinearGlobalAveragePool (c, s, z, s, z)", "h = com.microsoft.QLinearMul (c, s, z, c, s, z, s, z)", "h = com.microsoft.QLinearSigmoid (c, s, z, s, z)"}) {
    INFO(between);
    const Structure s = quantised("uint8[1,2,4,4] x", "uint8[1,2,h,w] y", kConvolutions,
                                  fmt::format("c = QLinearConv (x, s, z, a, s, zero, s, z, ab) {} y = QLinearConv (h, s, z, b, s, zero, s, z)", between));
    const Group& inner = group_of(s, "a", 0);
    CHECK(inner.is_cuttable());
    CHECK(members_of(inner) == "a:0 ab:0 b:1");
  }
}

TEST_CASE("a quantised concatenation joins the channels of its parts", "[structure][quantized]") {
  const Structure s = quantised("uint8[1,2,4,4] x", "uint8[1,1,4,4] y",
                                "int8[3,2,1,1] a = {1,2,3,4,5,6}, int8[2,2,1,1] d = {1,2,3,4}, int8[1,5,1,1] b = {6,5,4,3,2}",
                                "c = QLinearConv (x, s, z, a, s, zero, s, z) e = QLinearConv (x, s, z, d, s, zero, s, z)"
                                " h = com.microsoft.QLinearConcat <axis = 1> (s, z, c, s, z, e, s, z) y = QLinearConv (h, s, z, b, s, zero, s, z)");
  const Group& first = group_of(s, "a", 0);
  CHECK(first.units == 3);
  CHECK(members_of(first) == "a:0 b:1");
  const Group& second = group_of(s, "d", 0);
  CHECK(second.units == 2);
  CHECK(member_of(second, "b", 1).indices[1] == std::vector<int64_t>{4});
}

TEST_CASE("channels that a quantised choice takes from two sides go together", "[structure][quantized]") {
  const Structure s = quantised("uint8[1,2,4,4] x, bool[1,1,4,4] m", "uint8[1,2,4,4] y",
                                "int8[3,2,1,1] a = {1,2,3,4,5,6}, int8[3,2,1,1] d = {1,2,3,4,5,6}, int8[2,3,1,1] b = {6,5,4,3,2,1}",
                                "c = QLinearConv (x, s, z, a, s, zero, s, z) e = QLinearConv (x, s, z, d, s, zero, s, z)"
                                " h = com.microsoft.QLinearWhere (m, c, s, z, e, s, z, s, z) y = QLinearConv (h, s, z, b, s, zero, s, z)");
  CHECK(members_of(group_of(s, "a", 0)) == "a:0 b:1 d:0");
}

TEST_CASE("products of integers are cut along their scales and biases", "[structure][quantized]") {
  const std::string weights = "int8[2,3] a = {1,2,3,4,5,6}, float[3] sa = {1,2,3}, int8[3] za = {0,0,0}, int8[2,3] b = {1,2,3,4,5,6}, float[3] f = {1,2,3},"
                              " int32[3] g = {1,2,3}, int8[3,2] d = {1,2,3,4,5,6}";
  const Structure general = quantised("uint8[4,2] x", "uint8[4,2] y", weights,
                                      "c = com.microsoft.QGemm (x, s, z, a, sa, za, g, s, z) y = com.microsoft.QGemm <transB = 1> (c, s, z, b, s, zero, , s, z)");
  CHECK(members_of(group_of(general, "a", 1)) == "a:1 b:1 g:0 sa:0 za:0");
  CHECK(member_of(group_of(general, "a", 1), "sa", 0).role == Role::Passive);

  const Structure dynamic = quantised("float[4,2] x", "float[4,2] y", weights,
                                      "c = com.microsoft.DynamicQuantizeMatMul (x, a, sa, za, f) r = Relu (c) y = com.microsoft.DynamicQuantizeMatMul (r, d, s, zero)");
  CHECK(members_of(group_of(dynamic, "a", 1)) == "a:1 d:0 f:0 sa:0 za:0");

  const Structure mixed = quantised("uint8[4,2] x", "float[4,2] y", weights + ", float[3,2] w = {1,2,3,4,5,6}",
                                    "c = com.microsoft.MatMulIntegerToFloat (x, a, s, sa, z, za, f) y = MatMul (c, w)");
  CHECK(members_of(group_of(mixed, "a", 1)) == "a:1 f:0 sa:0 w:0 za:0");
}

TEST_CASE("an embedding of integers is masked with the zero point behind its lookup", "[structure][quantized]") {
  const std::string constants = "uint8[3,2] e = {1,2,3,4,5,6}, uint8 other = {7}, int64[1] last = {1}, float[2,2] w = {1,2,3,4}";
  const Structure seen = quantised("int64[4] x", "float[4] y, float[4,2] v", constants,
                                   "g = Gather (e, x) h = DequantizeLinear (g, s, z) y = ReduceSum <keepdims = 0> (h, last) v = MatMul (h, w)");
  CHECK(member_of(group_of(seen, "e", 1), "e", 1).role == Role::Vector);
  CHECK(group_of(seen, "e", 1).free_units() == 2);

  // Two zero points: what is 0 for the first is none for the second.
  const Structure torn = quantised("int64[4] x", "float[4] y, float[3,2] v", constants,
                                   "f = DequantizeLinear (e, s, z) v = MatMul (f, w) i = Identity (e) g = Gather (i, x) h = DequantizeLinear (g, s, other) "
                                   "y = ReduceSum <keepdims = 0> (h, last)");
  CHECK(group_of(torn, "e", 1).free_units() == 0);
}

TEST_CASE("scales that quantise a weight and dequantise it again go along with it", "[structure][quantized]") {
  const std::string weights = "float[2,3] a = {1,2,3,4,5,6}, float[3] sa = {1,2,3}, int8[3] za = {0,0,0}, float[3,2] d = {1,2,3,4,5,6}";
  const std::string pair = "q = QuantizeLinear <axis = 1> (a, sa, za) f = DequantizeLinear <axis = 1> (q, sa, za) c = MatMul (x, f) ";
  const Structure passive = quantised("float[4,2] x", "float[4,2] y", weights, pair + "r = Relu (c) y = MatMul (r, d)");
  const Group& group = group_of(passive, "a", 1);
  CHECK(group.free_units() == 3);
  CHECK(members_of(group) == "a:1 d:0 sa:0 za:0");
  CHECK(member_of(group, "sa", 0).role == Role::Passive);

  // A factor would be masked, a scale must not be.
  const Structure mixed = quantised("float[4,2] x", "float[4,2] y", weights, pair + "m = Mul (c, sa) r = Relu (m) y = MatMul (r, d)");
  CHECK(group_of(mixed, "a", 1).free_units() == 0);
}

TEST_CASE("hidden units between two uses of one weight are a group", "[structure][quantized]") {
  for (const char* nodes : {"c = Gemm (x, w, b) r = Relu (c) y = Gemm <transB = 1> (r, w, o)", "h = MatMul (x, w) c = Add (h, b) r = Relu (c) t = Transpose (w) p = MatMul (r, t) y = Add (p, o)"}) {
    INFO(nodes);
    const Structure s = quantised("float[4,2] x", "float[4,2] y", "float[2,3] w = {1,2,3,4,5,6}, float[3] b = {1,2,3}, float[2] o = {1,2}", nodes);
    const Group& hidden = group_of(s, "w", 1);
    CHECK(members_of(hidden) == "b:0 w:1");
    CHECK(hidden.free_units() == 3);
    CHECK(member_of(hidden, "w", 1).role == Role::Output);
    CHECK(group_of(s, "w", 0).free_units() == 0);
  }
}

TEST_CASE("operators of ai.onnx.ml that work on each element leave the rest of the model to be cut", "[structure][quantized]") {
  for (const char* op : {"Normalizer <norm = \"L2\">", "Scaler <offset = [0.5], scale = [2.0]>", "Binarizer <threshold = 0.5>", "Imputer <imputed_value_floats = [1.0]>"}) {
    INFO(op);
    const TextModel text(fmt::format("<ir_version: 8, opset_import: [\"\": 17, \"ai.onnx.ml\": 3]>\ngraph (float[n,2] x) => (float[n,2] y) "
                                     "<float[2,3] a = {{1,2,3,4,5,6}}, float[3,2] d = {{1,2,3,4,5,6}}> {{ p = ai.onnx.ml.{} (x) c = MatMul (p, a) r = Relu (c) y = MatMul (r, d) }}", op));
    const Structure s = Structure::analyse(text.load(), {});
    CHECK(group_of(s, "a", 1).free_units() == 3);
    CHECK(members_of(group_of(s, "a", 1)) == "a:1 d:0");
  }
}
