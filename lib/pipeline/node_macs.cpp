#include "pipeline/node_macs.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace sparsify {
namespace {

using Macs = std::optional<int64_t>;

int64_t product_from(const Shape& shape, size_t first) {
  int64_t product = 1;
  for (size_t i = first; i < shape.size(); ++i) product *= shape[i];
  return product;
}

/// A node and what is known of the shapes around it.
struct Call {
  const FlatNode& flat;
  const std::map<std::string, Shape>& shapes;

  bool has(size_t input) const { return input < flat.inputs.size() && !flat.inputs[input].empty(); }
  const Shape* in(size_t input) const { return has(input) ? find(flat.inputs[input]) : nullptr; }
  /// Of that rank, or null.
  const Shape* in(size_t input, size_t rank) const {
    const Shape* shape = in(input);
    return shape != nullptr && shape->size() == rank ? shape : nullptr;
  }
  const Shape* out(size_t output) const { return output < flat.outputs.size() && !flat.outputs[output].empty() ? find(flat.outputs[output]) : nullptr; }
  int64_t number(const char* attribute, int64_t otherwise) const { return flat.node->integer(attribute, otherwise); }

 private:
  const Shape* find(const std::string& value) const {
    const auto found = shapes.find(value);
    return found == shapes.end() ? nullptr : &found->second;
  }
};

using Rule = std::function<Macs(const Call&)>;

Macs unknown(const Call&) { return std::nullopt; }

/// Every output element sums over a slice of the weight [M, C / group, kernel...].
Rule convolution(size_t weight) {
  return [weight](const Call& call) -> Macs {
    const Shape* out = call.out(0);
    if (call.in(weight) == nullptr || out == nullptr) return std::nullopt;
    return element_count(*out) * product_from(*call.in(weight), 1);
  };
}

/// Every input element reaches a slice of the weight [C, M / group, kernel...].
Macs transposed_convolution(const Call& call) {
  if (call.in(0) == nullptr || call.in(1) == nullptr) return std::nullopt;
  return element_count(*call.in(0)) * product_from(*call.in(1), 1);
}

/// A' B' of two matrices.
Rule matrices(size_t second) {
  return [second](const Call& call) -> Macs {
    const Shape* b = call.in(second, 2);
    if (call.in(0, 2) == nullptr || b == nullptr) return std::nullopt;
    return element_count(*call.in(0)) * (*b)[call.number("transB", 0) != 0 ? 0 : 1];
  };
}

/// Stacks of matrices with broadcast: out x what is summed over.
Rule stacked_matrices(size_t second) {
  return [second](const Call& call) -> Macs {
    const Shape* a = call.in(0);
    if (a == nullptr || a->empty()) return std::nullopt;
    const bool transposed = call.number("transA", 0) != 0 && a->size() > 1;
    const int64_t summed = !transposed ? a->back() : call.number("transBatchA", 0) != 0 ? a->front() : (*a)[a->size() - 2];
    if (const Shape* out = call.out(0)) return element_count(*out) * summed;
    const Shape* b = call.in(second, 2);
    return b == nullptr ? Macs() : element_count(*a) * (*b)[call.number("transB", 0) != 0 ? 0 : 1];
  };
}

/// A [..., K] and packed weights of N outputs.
Macs packed_product(const Call& call) {
  if (call.in(0) == nullptr || call.flat.node->find("N") == nullptr) return std::nullopt;
  return element_count(*call.in(0)) * call.number("N", 0);
}

/// X [steps, batch, inputs] (or batch first) with W and R.
Macs recurrent(const Call& call) {
  const Shape* x = call.in(0, 3);
  if (x == nullptr || call.in(1) == nullptr || call.in(2) == nullptr) return std::nullopt;
  return (*x)[0] * (*x)[1] * (element_count(*call.in(1)) + element_count(*call.in(2)));
}

/// Letters of an einsum's operand, `...` as digits from the right; "" where they do not fit.
std::string axes_of(std::string term, size_t rank) {
  const size_t dots = term.find("...");
  if (dots != std::string::npos) {
    const size_t letters = term.size() - 3;
    if (letters > rank || rank - letters > 9) return "";
    std::string digits;
    for (size_t i = rank - letters; i > 0; --i) digits += static_cast<char>('0' + i);
    term.replace(dots, 3, digits);
  }
  return term.size() == rank ? term : "";
}

/// The product of the sizes of all letters: all operands at once. One operand is only rearranged or summed.
Macs einsum(const Call& call) {
  std::string equation = call.flat.node->text("equation", "");
  std::erase(equation, ' ');
  std::vector<std::string> terms{""};
  for (const char c : equation.substr(0, equation.find("->"))) {
    if (c == ',') terms.emplace_back();
    else terms.back() += c;
  }
  if (terms.size() == 1) return 0;
  std::map<char, int64_t> sizes;
  for (size_t i = 0; i < terms.size(); ++i) {
    const Shape* shape = call.in(i);
    if (shape == nullptr) return std::nullopt;
    const std::string axes = axes_of(terms[i], shape->size());
    if (axes.empty() && !shape->empty()) return std::nullopt;
    for (size_t axis = 0; axis < axes.size(); ++axis) sizes[axes[axis]] = std::max(sizes[axes[axis]], (*shape)[axis]);
  }
  int64_t macs = 1;
  for (const auto& [letter, size] : sizes) macs *= size;
  return macs;
}

/// Queries [B, S, all heads' channels] with keys, and the products with values: `width` is what the heads of queries and of values are
/// wide together. What a cut leaves of heads shows in shapes, not in attributes, so that rules read shapes where they can.
int64_t pairs(int64_t batch, int64_t queries, int64_t keys, int64_t width) { return batch * queries * keys * width; }

/// [B, heads, L, D], absent: nothing.
std::optional<int64_t> past_length(const Call& call, size_t input, size_t axis = 2) {
  if (!call.has(input)) return 0;
  const Shape* past = call.in(input);
  return past == nullptr || past->size() <= axis ? std::nullopt : std::optional((*past)[axis]);
}

/// Q, K, V [B, heads, L, D] or [B, L, heads * D], a mask, past keys [B, heads, P, D].
Macs attention(const Call& call) {
  const Shape* q = call.in(0);
  const Shape* k = call.in(1);
  const Shape* v = call.in(2);
  const auto past = past_length(call, 4);
  if (q == nullptr || k == nullptr || v == nullptr || !past || q->size() != k->size() || q->size() != v->size()) return std::nullopt;
  if (q->size() == 4) return pairs((*q)[0], (*q)[2], (*k)[2] + *past, (*q)[1] * ((*q)[3] + (*v)[3]));
  if (q->size() != 3) return std::nullopt;
  const Shape* out = call.out(0);
  const int64_t key_heads = std::max<int64_t>(call.number("kv_num_heads", 1), 1);
  const int64_t values = out != nullptr && out->size() == 3 ? out->back() : v->back() / key_heads * call.number("q_num_heads", 1);
  return pairs((*q)[0], (*q)[1], (*k)[1] + *past, q->back() + values);
}

/// X [B, S, I], a weight [I, queries | keys | values] and a past [2, B, heads, P, D].
Rule projecting_attention(size_t past_state) {
  return [past_state](const Call& call) -> Macs {
    const Shape* x = call.in(0, 3);
    const Shape* weight = call.in(1, 2);
    const auto past = past_length(call, past_state, 3);
    if (x == nullptr || weight == nullptr || !past) return std::nullopt;
    const std::vector<int64_t> sizes = call.flat.node->integers("qkv_hidden_sizes");
    const Shape* out = call.out(0);
    const int64_t all = weight->back();
    const int64_t values = out != nullptr && out->size() == 3 ? out->back() : sizes.size() == 3 ? sizes[2] : all / 3;
    return (*x)[0] * (*x)[1] * element_count(*weight) + pairs((*x)[0], (*x)[1], (*x)[1] + *past, (all - values) / 2 + values);
  };
}

/// Queries [B, S, H] or packed [B, S, heads, 3, D]; keys [B, L, H], packed with values [B, L, heads, 2, D] or projected [B, heads, L, D].
Macs multi_head_attention(const Call& call) {
  const Shape* q = call.in(0);
  const auto past = past_length(call, 6);
  if (q == nullptr || !past) return std::nullopt;
  if (q->size() == 5) return pairs((*q)[0], (*q)[1], (*q)[1] + *past, 2 * (*q)[2] * (*q)[4]);
  const Shape* k = call.in(1);
  if (q->size() != 3 || k == nullptr || k->size() < 3) return std::nullopt;
  const int64_t keys = (*k)[k->size() == 4 ? 2 : 1] + *past;
  if (k->size() == 5) return pairs((*q)[0], (*q)[1], keys, 2 * q->back());
  const Shape* v = call.in(2, k->size());
  if (v == nullptr) return std::nullopt;
  return pairs((*q)[0], (*q)[1], keys, q->back() + (v->size() == 4 ? (*v)[1] * (*v)[3] : v->back()));
}

/// One step of a decoder: queries, keys and values [B, 1, H] or all in one, a past [B, heads, P, D]; keys [B, heads, L, D] of a memory.
Macs decoder_attention(const Call& call) {
  const Shape* q = call.in(0, 3);
  const auto past = past_length(call, 5);
  if (q == nullptr || !past || call.number("past_present_share_buffer", 0) != 0) return std::nullopt;
  if (!call.has(1)) return pairs((*q)[0], (*q)[1], (*q)[1] + *past, q->back() / 3 * 2);
  const Shape* k = call.in(1);
  const Shape* v = k == nullptr ? nullptr : call.in(2, k->size());
  if (v == nullptr || (k->size() != 3 && k->size() != 4)) return std::nullopt;
  if (k->size() == 4) return pairs((*q)[0], (*q)[1], (*k)[2], q->back() + (*v)[1] * (*v)[3]);
  return pairs((*q)[0], (*q)[1], (*k)[1] + *past, q->back() + v->back());
}

/// Queries [B, S, heads * D], keys and values [B, S, key heads * D] or all in one, past keys [B, key heads, P, D].
Macs group_query_attention(const Call& call) {
  const Shape* q = call.in(0, 3);
  const Shape* present = call.out(1);
  auto keys = past_length(call, 3);
  if (q == nullptr) return std::nullopt;
  if (present != nullptr && present->size() == 4) keys = (*present)[2];
  else if (keys) *keys += (*q)[1];
  if (!keys) return std::nullopt;
  const int64_t heads = call.number("num_heads", 1);
  const int64_t width = call.has(1) ? q->back() : q->back() / std::max<int64_t>(heads + 2 * call.number("kv_num_heads", 1), 1) * heads;
  return pairs((*q)[0], (*q)[1], *keys, 2 * width);
}

/// A state of d_k x d_v for each key head: it is written, read for every query head, and read for the delta rule.
///   queries [B, T, heads * d_k], keys and values [B, T, key heads * d], the state [B, key heads, d_k, d_v]
Macs linear_attention(const Call& call) {
  const Shape* q = call.in(0, 3);
  const Shape* k = call.in(1, 3);
  const Shape* v = call.in(2, 3);
  if (q == nullptr || k == nullptr || v == nullptr) return std::nullopt;
  const Shape* state = call.out(1) != nullptr ? call.out(1) : call.in(3);
  // While a cut is planned the attribute still has the old number of heads; the rates [B, T, key heads] follow the cut.
  const Shape* rates = call.in(5, 3);
  const int64_t heads = std::max<int64_t>(rates != nullptr ? rates->back() : call.number("kv_num_heads", 1), 1);
  const int64_t width = state != nullptr && state->size() == 4 ? state->back() : v->back() / heads;
  const std::string rule = call.flat.node->text("update_rule", "gated_delta");
  const int64_t of_keys = rule == "delta" || rule == "gated_delta" ? 2 : 1;
  return (*q)[0] * (*q)[1] * width * (of_keys * k->back() + std::max(q->back(), k->back()));
}

/// The router [tokens, experts] sends every token to `k` of them; weights [experts, out, in], of `pack` numbers in an element.
Macs experts(const Call& call, const std::vector<size_t>& weights, int64_t pack) {
  const Shape* router = call.in(1);
  if (router == nullptr || router->empty() || router->back() < 1) return std::nullopt;
  int64_t elements = 0;
  for (const size_t input : weights) {
    if (!call.has(input)) continue;
    if (call.in(input) == nullptr) return std::nullopt;
    elements += element_count(*call.in(input)) * pack;
  }
  return element_count(*router) / router->back() * call.number("k", 1) * elements / router->back();
}

/// ai.onnx.ml: X [N, C] with coefficients in an attribute.
Macs linear_model(const Call& call) {
  const Shape* x = call.in(0);
  const Attribute* stated = call.flat.node->find("coefficients");
  const auto* coefficients = stated == nullptr ? nullptr : std::get_if<std::vector<float>>(&stated->value);
  if (x == nullptr || x->empty() || coefficients == nullptr) return std::nullopt;
  return (x->size() == 1 ? 1 : x->front()) * static_cast<int64_t>(coefficients->size());
}

const std::map<std::string, Rule>& rules() {
  static const std::map<std::string, Rule> table = [] {
    std::map<std::string, Rule> known;
    for (const char* op : {"Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "ConvInteger", "DeformConv", "CausalConvWithState"}) known[op] = convolution(1);
    known["QLinearConv"] = convolution(3);
    for (const char* op : {"ConvTranspose", "ConvTransposeWithDynamicPads"}) known[op] = transposed_convolution;
    for (const char* op : {"Gemm", "FusedGemm", "GemmFloat8"}) known[op] = matrices(1);
    known["QGemm"] = matrices(3);
    for (const char* op : {"MatMul", "FusedMatMul", "TransposeMatMul", "FusedMatMulActivation", "GemmFastGelu", "MatMulInteger", "MatMulInteger16",
                           "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}) {
      known[op] = stacked_matrices(1);
    }
    known["QLinearMatMul"] = stacked_matrices(3);
    for (const char* op : {"MatMulNBits", "MatMulBnb4"}) known[op] = packed_product;
    for (const char* op : {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"}) known[op] = recurrent;
    known["Einsum"] = einsum;
    for (const char* op : {"Attention", "FlexAttention"}) known[op] = attention;
    known["com.microsoft.Attention"] = projecting_attention(4);
    known["QAttention"] = projecting_attention(8);
    known["MultiHeadAttention"] = multi_head_attention;
    known["DecoderMaskedMultiHeadAttention"] = decoder_attention;
    known["GroupQueryAttention"] = group_query_attention;
    known["LinearAttention"] = linear_attention;
    known["MoE"] = [](const Call& call) { return experts(call, {2, 4, 6}, 1); };
    known["QMoE"] = [](const Call& call) { return experts(call, {2, 5, 8}, 8 / std::clamp<int64_t>(call.number("expert_weight_bits", 4), 1, 8)); };
    for (const char* op : {"LinearClassifier", "LinearRegressor"}) known[op] = linear_model;
    for (const char* op : {"PackedAttention", "PackedMultiHeadAttention", "PagedAttention", "SparseAttention", "LongformerAttention", "DecoderAttention",
                           "DecoderMaskedSelfAttention", "QOrderedAttention", "QOrderedMatMul", "QOrderedLongformerAttention", "SparseToDenseMatMul",
                           "MatMulFpQ4", "FusedConvTranspose"}) {
      known[op] = unknown;
    }
    return known;
  }();
  return table;
}

const Rule* rule_of(const Node& node) {
  if (node.domain == "com.microsoft") {
    const auto own = rules().find("com.microsoft." + node.op_type);
    if (own != rules().end()) return &own->second;
  }
  const auto found = rules().find(node.op_type);
  return found == rules().end() ? nullptr : &found->second;
}

}  // namespace

bool multiplies(const Node& node) { return rule_of(node) != nullptr; }

std::optional<int64_t> count_node_macs(const FlatNode& node, const std::map<std::string, Shape>& shapes) {
  const Rule* rule = rule_of(*node.node);
  if (rule == nullptr) return 0;
  return node.nested ? std::nullopt : (*rule)({node, shapes});
}

}  // namespace sparsify
