#include "pipeline/figures.h"

#include <fmt/core.h>

#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

/// All operands are inputs, whose first axes differ, so that none is a batch.
MacCounts counted(const std::string& inputs, const std::string& outputs, const std::string& nodes, const std::map<std::string, Shape>& given = {}) {
  const TextModel text(fmt::format("<ir_version: 10, opset_import: [\"\": 23, \"com.microsoft\": 1]> graph ({}) => ({}) {{ {} }}", inputs, outputs, nodes));
  return count_macs(text.load(), given);
}

struct Product {
  std::string inputs;
  std::string outputs;
  std::string node;
  int64_t macs;
};

void require_counts(const std::vector<Product>& products) {
  for (const Product& product : products) {
    INFO(product.node << " of " << product.inputs);
    CHECK(counted(product.inputs, product.outputs, product.node).total() == product.macs);
  }
}

const std::string kScales = ", float s, uint8 z";

}  // namespace

TEST_CASE("MACs of a convolution are its output elements times its fan-in", "[pipeline][figures]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");

  const auto macs = count_macs(file);

  CHECK(macs.by_node.at("stem") == 16 * 8 * 8 * 9);
  CHECK(macs.by_node.at("block1.conv1") == 16 * 8 * 8 * 16 * 9);
  CHECK(macs.by_node.at("classifier") == 32 * 10);
  CHECK(macs.total() == 968000);
}

TEST_CASE("products of integers count as those of floats do", "[pipeline][figures]") {
  require_counts({
      {"uint8[1,4,3] x, int8[3,5] w", "int32[1,4,5] y", "y = MatMulInteger (x, w)", 60},
      {"uint8[1,4,3] x, int8[3,5] w" + kScales, "uint8[1,4,5] y", "y = QLinearMatMul (x, s, z, w, s, z, s, z)", 60},
      {"uint8[1,4,3] x, int8[3,5] w" + kScales, "float[1,4,5] y", "y = com.microsoft.MatMulIntegerToFloat (x, w, s, s, z, z)", 60},
      {"float[1,4,3] x, int8[3,5] w" + kScales, "float[1,4,5] y", "y = com.microsoft.DynamicQuantizeMatMul (x, w, s, z)", 60},
      {"uint8[4,3] x, int8[5,3] w" + kScales, "uint8[4,5] y", "y = com.microsoft.QGemm <transB = 1> (x, s, z, w, s, z, , s, z)", 60},
      {"uint8[1,2,4,4] x, int8[3,2,3,3] w", "int32[1,3,2,2] y", "y = ConvInteger (x, w)", 12 * 18},
      {"uint8[1,2,4,4] x, int8[3,2,3,3] w" + kScales, "uint8[1,3,2,2] y", "y = QLinearConv (x, s, z, w, s, z, s, z)", 12 * 18},
      {"float[1,4,32] x, uint8[5,1,16] w, float[5] s", "float[1,4,5] y", "y = com.microsoft.MatMulNBits <K = 32, N = 5, bits = 4, block_size = 32> (x, w, s)", 4 * 32 * 5},
      {"float[1,4,32] x, uint8[80] w, float[3] s", "float[1,4,5] y", "y = com.microsoft.MatMulBnb4 <K = 32, N = 5, block_size = 64, quant_type = 1> (x, w, s)", 4 * 32 * 5},
      {"float[4,1,3] x, int8[1,3,8] w, int8[1,2,8] r" + kScales, "float[4,1,1,2] y", "y = com.microsoft.DynamicQuantizeLSTM <hidden_size = 2> (x, w, r, , , , , , s, z, s, z)",
       4 * (24 + 16)},
  });
}

TEST_CASE("attention counts its scores and its weighted sum, over past keys too", "[pipeline][figures]") {
  // Four heads of 8 read two key heads; values are 3 wide: 5 queries x 6 keys x 4 heads x (8 + 3).
  require_counts({
      {"float[1,4,5,8] q, float[1,2,6,8] k, float[1,2,6,3] v, bool m", "float[1,4,5,3] y", "y = Attention (q, k, v)", 1320},
      {"float[1,5,32] q, float[1,6,16] k, float[1,6,6] v, bool m", "float[1,5,12] y", "y = Attention <q_num_heads = 4, kv_num_heads = 2> (q, k, v)", 1320},
      {"float[1,4,5,8] q, float[1,2,6,8] k, float[1,2,6,3] v, float[1,2,7,8] p, float[1,2,7,3] r", "float[1,4,5,3] y, float[1,2,13,8] a, float[1,2,13,3] b",
       "y, a, b = Attention (q, k, v, , p, r)", 5 * 13 * 44},
      // Projections 4 x 6 x 24, then 4 queries x (4 + 3) keys x (8 + 8).
      {"float[1,4,6] x, float[6,24] w, float[24] b", "float[1,4,8] y", "y = com.microsoft.Attention <num_heads = 4> (x, w, b)", 576 + 256},
      {"float[1,4,6] x, float[6,24] w, float[24] b, float[2,1,4,3,2] p", "float[1,4,8] y, float[2,1,4,7,2] n",
       "y, n = com.microsoft.Attention <num_heads = 4> (x, w, b, , p)", 576 + 448},
      {"uint8[1,4,6] x, int8[6,24] w, float[24] b" + kScales, "float[1,4,8] y", "y = com.microsoft.QAttention <num_heads = 4> (x, w, b, s, s, , z, z)", 576 + 256},
      {"float[1,5,8] q, float[1,6,8] k, float[1,6,4] v, bool m", "float[1,5,4] y", "y = com.microsoft.MultiHeadAttention <num_heads = 4> (q, k, v)", 5 * 6 * 12},
      {"float[1,5,4,3,2] q, bool m", "float[1,5,8] y", "y = com.microsoft.MultiHeadAttention <num_heads = 4> (q)", 5 * 5 * 16},
      {"float[1,5,8] q, float[1,5,4] k, float[1,5,4] v, float[1,2,3,2] p, float[1,2,3,2] r, int32[1] n, int32 t", "float[1,5,8] y, float[1,2,8,2] a, float[1,2,8,2] b",
       "y, a, b = com.microsoft.GroupQueryAttention <num_heads = 4, kv_num_heads = 2> (q, k, v, p, r, n, t)", 5 * 8 * 16},
      {"float[1,1,8] q, float[1,1,8] k, float[1,1,8] v, float[1,4,9,2] p, float[1,4,9,2] r", "float[1,1,8] y",
       "y = com.microsoft.DecoderMaskedMultiHeadAttention <num_heads = 4> (q, k, v, , , p, r)", 10 * 16},
      // Two heads with a state of 2 x 3 each: written, read; with the delta rule read once more.
      {"float[1,5,4] q, float[1,5,4] k, float[1,5,6] v, bool m", "float[1,5,6] y, float[1,2,2,3] n",
       "y, n = com.microsoft.LinearAttention <q_num_heads = 2, kv_num_heads = 2, update_rule = \"linear\"> (q, k, v)", 5 * 24},
      {"float[1,5,4] q, float[1,5,4] k, float[1,5,6] v, float[1,2,2,3] p, float[1,5,2] d", "float[1,5,6] y, float[1,2,2,3] n",
       "y, n = com.microsoft.LinearAttention <q_num_heads = 2, kv_num_heads = 2, update_rule = \"delta\"> (q, k, v, p, , d)", 5 * 36},
  });
}

TEST_CASE("sums over letters, experts and linear models count", "[pipeline][figures]") {
  require_counts({
      {"float[1,4,3] x, float[2,3,5] w", "float[a,b,c] y", "y = Einsum <equation = \"bij,cjk->bik\"> (x, w)", 2 * 60},
      {"float[1,4,3] x, float[3,5] w", "float[1,4,5] y", "y = Einsum <equation = \"...ij,jk->...ik\"> (x, w)", 60},
      {"float[4,3] x, bool m", "float[3,4] y", "y = Einsum <equation = \"ij->ji\"> (x)", 0},
      // Each of 6 tokens goes through 2 of 3 experts, of 4 x 8 + 8 x 4 weights.
      {"float[1,6,4] x, float[6,3] r, float[3,8,4] a, float[3,4,8] b", "float[1,6,4] y", "y = com.microsoft.MoE <k = 2> (x, r, a, , b)", 6 * 2 * 64},
  });
}

TEST_CASE("a node that multiplies and whose shapes are unknown leaves the total open", "[pipeline][figures]") {
  const std::string inputs = "uint8[n,t,3] x, int8[3,5] w";
  const MacCounts open = counted(inputs, "int32[n,t,5] y", "y = MatMulInteger (x, w)");
  CHECK(open.unknown.size() == 1);
  CHECK_FALSE(open.total());
  CHECK(counted(inputs, "int32[n,t,5] y", "y = MatMulInteger (x, w)", {{"x", {1, 4, 3}}}).total() == 60);
  // Two products of activations, no weight among them; the shapes behind an operator of com.microsoft are those that the analysis finds.
  CHECK(counted("uint8[4,3] x, int8[3,5] w, int8[5,2] v" + kScales, "float[a,b] y", "h = com.microsoft.QGemm (x, s, z, w, s, z, , s, z) y = com.microsoft.QGemm (h, s, z, v, s, z)")
            .total() == 60 + 40);
  const MacCounts branch = counted("float[1,4,3] x, float[3,4] w, bool c", "float[1,4,4] y",
                                   "y = If (c) <then_branch = yes () => (float[1,4,4] a) { a = MatMul (x, w) }, else_branch = no () => (float[1,4,4] b) { b = MatMul (x, w) }>");
  CHECK(branch.unknown.size() == 2);
  CHECK_FALSE(branch.total());
}

TEST_CASE("MACs are those of one sample, whatever the batch", "[pipeline][figures]") {
  const ModelFile digits = ModelFile::load("configs/quickstart/digits.onnx");
  CHECK(count_macs(digits, {{"image", {2, 1, 8, 8}}}).total() == 968000);
  CHECK(count_macs(digits, {{"image", {2, 1, 8, 8}}}).by_node.at("stem") == 16 * 8 * 8 * 9);
  const auto counted_with = [](const std::string& inputs, const std::string& outputs, const std::string& weights, const std::string& nodes) {
    return count_macs(TextModel(fmt::format("<ir_version: 8, opset_import: [\"\": 17]> graph ({}) => ({}) <{}> {{ {} }}", inputs, outputs, weights, nodes)).load()).total();
  };
  CHECK(counted_with("float[4,3] x", "float[4,2] y", "float[3,2] w = {1, 2, 3, 4, 5, 6}", "y = MatMul (x, w)") == 6);
  CHECK(counted_with("float[4,3] x, float[4,3] u", "float[4,2] y, float[1] z", "float[3,2] w = {1, 2, 3, 4, 5, 6}, float[1] o = {1}",
                     "a = Add (x, u) y = MatMul (a, w) z = Identity (o)") == 6);
  // No result has the first axis of the input, so that it is no batch.
  CHECK(counted_with("float[3,8] x", "float[1,8] y", "float[1,3] w = {1, 2, 3}", "y = MatMul (w, x)") == 24);
  // The first axis is time.
  CHECK(counted_with("float[5,1,1] x", "float[5,1,1,1] y", "float[1,1,1] w = {1}, float[1,1,1] r = {1}", "y = RNN <hidden_size = 1> (x, w, r)") == 10);
}

TEST_CASE("both zeros of a float count as zero, and integer zeros too", "[pipeline][figures]") {
  CHECK(count_zeros(HostTensor::of<float>(DType::Float32, {4}, {0.0F, -0.0F, 1.0F, 1e-40F})) == 2);
  CHECK(count_zeros(HostTensor::of<uint16_t>(DType::Float16, {3}, {0x0000, 0x8000, 0x0001})) == 2);
  CHECK(count_zeros(HostTensor::of<int8_t>(DType::Int8, {3}, {0, -128, 1})) == 1);
}
