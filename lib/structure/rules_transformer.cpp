// com.microsoft: embeddings with their normalisation in one node, tables in few bits, and mixtures of experts.
#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

constexpr const char* kWidth = "cut the layers' inner channels and heads; this width stays";

/// Token (and segment) numbers [N, T] -> the normalised sum of rows of two or three tables [.., H], the lengths of the
/// sequences [N], and the sum itself.
void embed_normalised(Analysis& a) {
  const LabelledValue& tokens = a.in(0);
  const LabelledValue& words = a.in(2);
  if (tokens.rank() != 2 || words.rank() != 2) return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  const Axis width = words.axes[1];
  a.labels.freeze(width, a.because("it normalises over this axis: a mean over fewer channels is another function", kWidth));
  for (const size_t input : {size_t{2}, size_t{3}, size_t{4}}) {
    if (!a.has(input) || a.in(input).rank() != 2) continue;
    a.labels.freeze(a.in(input).axes[0], a.because("it looks rows up at run time"));
    a.labels.unite(a.in(input).axes[1], width);
  }
  for (const size_t input : {size_t{5}, size_t{6}}) {
    if (a.has(input) && a.in(input).rank() == 1) a.labels.unite(a.in(input).axes[0], width);
  }
  LabelledValue result;
  result.known = true;
  result.axes = {tokens.axes[0], tokens.axes[1], width};
  a.out(0, result);
  a.out(2, result);
  result.axes = {tokens.axes[0]};
  a.out(1, std::move(result));
}

/// A table whose rows lie in blocks of few bits that share a scale.
void gather_blocks(Analysis& a) {
  const LabelledValue& table = a.in(0);
  const LabelledValue& indices = a.in(1);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("gather_axis", 0), table.rank()));
  for (const size_t input : {size_t{0}, size_t{2}, size_t{3}}) {
    for (const Axis& axis : a.in(input).axes) {
      a.labels.freeze(axis, a.because("its table is packed in blocks of few bits that share a scale", "cut the model before it is quantised"));
    }
  }
  if (at >= table.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
  LabelledValue result;
  result.known = true;
  for (size_t i = 0; i < table.axes.size(); ++i) {
    if (i == at) result.axes.insert(result.axes.end(), indices.axes.begin(), indices.axes.end());
    else result.axes.push_back(a.fixed(i + 1 == table.axes.size() ? -1 : table.axes[i].length));  // several elements share a byte
  }
  a.out(0, std::move(result));
}

/// A product with a weight in few bits: [.., K] -> [.., N], and nothing of it goes.
void packed_product(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const Label packed = a.because("its weight is packed in blocks of few bits that share a scale", "cut the model before it is quantised");
  for (size_t input = 1; input < a.flat().inputs.size(); ++input) {
    for (const Axis& axis : a.in(input).axes) a.labels.freeze(axis, packed);
  }
  if (x.axes.empty()) return a.freeze_all("its operand has no axis", "export the model again");
  a.labels.freeze(x.axes.back(), packed);
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.axes.back() = a.fixed(a.node().integer("N", -1));
  result.zero = x.zero;
  result.zero.back() = 0;
  a.out(0, std::move(result));
}

/// Which row of the first layer's outputs belongs to which inner channel: one, or two where gate and linear part are fused.
bool unite_inner(Analysis& a, const Axis& rows, const Axis& inner, int64_t fusion) {
  if (rows.length < 0 || inner.length < 0) return false;
  if (rows.length == inner.length) {
    a.labels.unite(rows, inner);
    return true;
  }
  if (rows.length != 2 * inner.length || fusion < 1 || fusion > 2) return false;
  if (rows.is_fixed()) {
    a.labels.freeze(inner, rows.anchor);
    return true;
  }
  for (int64_t i = 0; i < rows.length; ++i) a.labels.unite(rows.at(i), inner.at(fusion == 1 ? i / 2 : i % inner.length));
  return true;
}

/// X [.., H], router [tokens, E], then weights [E, out, in] and biases [E, out] of the first, second and (gated) third layer:
/// inner channels of all experts go together.
void mixture_of_experts(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const LabelledValue& first = a.in(2);
  const LabelledValue& second = a.in(4);
  const bool gated = a.has(6);
  if (x.axes.empty() || first.rank() != 3 || second.rank() != 3 || (gated && a.in(6).rank() != 3)) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  for (size_t input = 1; input < a.flat().inputs.size(); ++input) {
    if (!a.has(input) || a.in(input).axes.empty()) continue;
    const Axis& experts = input == 1 ? a.in(1).axes.back() : a.in(input).axes.front();
    a.labels.freeze(experts, a.because("it is an axis of experts, of which a run chooses", "cut the experts' inner channels"));
  }
  a.hold_others(0, {-1});
  a.hold_others(1, {});
  const Axis hidden = x.axes.back();
  const Axis inner = second.axes[2];
  const int64_t fusion = a.node().integer("swiglu_fusion", 0);
  bool fits = unite_inner(a, first.axes[1], inner, fusion) && second.axes[1].length == hidden.length;
  a.labels.unite(first.axes[2], hidden);
  bool reads = first.zero[2] != 0;
  bool zero = second.zero[1] != 0;
  if (a.has(3)) fits = fits && a.in(3).rank() == 2 && unite_inner(a, a.in(3).axes[1], inner, fusion);
  if (gated) {
    a.labels.unite(a.in(6).axes[2], hidden);
    reads = reads && a.in(6).zero[2] != 0;
    fits = fits && unite_inner(a, a.in(6).axes[1], inner, 0);
    if (a.has(7)) fits = fits && a.in(7).rank() == 2 && unite_inner(a, a.in(7).axes[1], inner, 0);
  }
  if (!fits) return a.freeze_all("its weights are not of the usual shapes", "export the model again");
  a.labels.unite(second.axes[1], hidden);  // the result is of X's shape
  if (a.has(5)) {
    a.labels.unite(a.in(5).axes.back(), hidden);
    zero = zero && a.in(5).zero.back() != 0;
  }
  if (!reads && x.zero.back() == 0) a.labels.freeze(hidden, a.because("it sums over channels that are not zero where they were removed"));
  if (second.zero[2] == 0) a.labels.freeze(inner, a.because("it sums over channels that are not zero where they were removed"));
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero.assign(x.axes.size(), 0);
  result.zero.back() = zero;
  a.out(0, std::move(result));
}

}  // namespace

void add_transformer_rules(RuleTable& table) {
  table["com.microsoft.EmbedLayerNormalization"] = embed_normalised;
  table["com.microsoft.QEmbedLayerNormalization"] = embed_normalised;
  table["com.microsoft.GatherBlockQuantized"] = gather_blocks;
  table["com.microsoft.MatMulNBits"] = packed_product;
  table["com.microsoft.MatMulBnb4"] = packed_product;
  table["com.microsoft.MoE"] = mixture_of_experts;
}

}  // namespace sparsify
