// What recent exporters fuse around recurrent attention (Gated DeltaNet, Mamba): heads are units.
#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

constexpr const char* kHeads = "cut whole heads";

struct Heads {
  Axis heads;
  Axis width;
};

/// [.., heads * width]
std::optional<Heads> heads_of(Analysis& a, const Axis& packed, int64_t heads) {
  if (heads < 1 || packed.length < 1 || packed.length % heads != 0) return std::nullopt;
  const auto [upper, lower] = a.labels.split(packed, heads, packed.length / heads);
  return Heads{upper, lower};
}

/// Several heads of the longer axis share one of the shorter.
bool share_heads(Analysis& a, const Axis& longer, const Axis& shorter) {
  if (longer.length == shorter.length) {
    a.labels.unite(longer, shorter);
    return true;
  }
  if (shorter.length == 1) return true;
  if (shorter.length < 1 || longer.length % shorter.length != 0) return false;
  a.labels.unite(a.labels.split(longer, shorter.length, longer.length / shorter.length).first, shorter);
  return true;
}

/// Queries, keys, values [B, T, heads * width], a state [B, heads, d_k, d_v], a decay [B, T, heads * (d_k or 1)], a rate [B, T, heads or 1].
void linear_attention(Analysis& a) {
  const LabelledValue& q = a.in(0);
  if (q.rank() != 3 || a.in(1).rank() != 3 || a.in(2).rank() != 3) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  const int64_t query_count = a.node().integer("q_num_heads", 1);
  const int64_t key_count = a.node().integer("kv_num_heads", 1);
  const auto query = heads_of(a, q.axes[2], query_count);
  const auto key = heads_of(a, a.in(1).axes[2], key_count);
  const auto value = heads_of(a, a.in(2).axes[2], key_count);
  if (!query || !key || !value) return a.freeze_all("its heads do not divide evenly", "export the model again");
  const bool more_queries = query_count >= key_count;
  const bool shared = more_queries ? share_heads(a, query->heads, key->heads) : share_heads(a, key->heads, query->heads);
  if (!shared) return a.freeze_all("its heads do not divide evenly", "export the model again");
  a.labels.unite(key->heads, value->heads);
  a.mark_heads(query->heads);
  a.mark_heads(key->heads);
  for (const Heads* one : {&*query, &*key, &*value}) a.labels.freeze(one->width, a.because("its memory is a matrix of this width for each head", kHeads));
  if (a.has(4)) {
    const auto decay = heads_of(a, a.in(4).axes.back(), key_count);
    if (!decay) return a.freeze_all("its heads do not divide evenly", "export the model again");
    a.labels.unite(decay->heads, key->heads);
    a.labels.freeze(decay->width, a.because("its memory is a matrix of this width for each head", kHeads));
  }
  if (a.has(5)) {
    const Axis& rate = a.in(5).axes.back();
    if (rate.length == key_count) a.labels.unite(rate, key->heads);
    else a.labels.freeze(rate, a.space());
  }
  for (const size_t input : {size_t{0}, size_t{1}, size_t{2}, size_t{4}, size_t{5}}) a.hold_others(input, {-1});
  a.hold_others(3, {});
  const bool stateful = a.has(3) || (a.flat().outputs.size() > 1 && !a.flat().outputs[1].empty());
  if (stateful) a.labels.freeze(key->heads, a.because("a past state has an axis of heads"));
  a.count_attribute("q_num_heads", query_count, query->heads);
  a.count_attribute("kv_num_heads", key_count, key->heads);
  LabelledValue result;
  result.known = true;
  result.axes = {q.axes[0], q.axes[1], a.labels.join(more_queries ? query->heads : key->heads, value->width)};
  result.zero.assign(3, 0);
  a.out(0, std::move(result));
  a.out(1, a.inferred(1));
}

/// Depthwise over the past: X [B, C, L], weight [C, 1, k], bias [C], the last k - 1 positions before X [B, C, k - 1].
void causal_convolution(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const LabelledValue& weight = a.in(1);
  if (x.rank() != 3 || weight.rank() != 3 || a.node().integer("channels_last", 0) != 0 || x.axes[1].length != weight.axes[0].length) {
    return a.freeze_all("its operands are not channels of one axis", "export one axis, channels first");
  }
  a.labels.unite(x.axes[1], weight.axes[0]);
  a.hold_others(0, {1});
  a.hold_others(1, {0});
  a.hold_others(3, {1});
  bool zero = weight.zero[0] != 0;
  LabelledValue state;
  state.known = true;
  state.axes = {x.axes[0], x.axes[1], a.fixed(-1)};
  state.zero = {0, x.zero[1], 0};
  if (a.has(2)) {
    a.labels.unite(a.in(2).axes.at(0), x.axes[1]);
    zero = zero && a.in(2).zero.at(0) != 0;
  }
  if (a.has(3) && a.in(3).rank() == 3) {
    a.labels.unite(a.in(3).axes[1], x.axes[1]);
    state.zero[1] = state.zero[1] != 0 && a.in(3).zero[1] != 0;
  }
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero = {0, static_cast<char>(zero), 0};
  a.out(0, std::move(result));
  a.out(1, std::move(state));
}

/// decay = decay_scale * softplus(a + dt_bias), rate = sigmoid(b)
void gates(Analysis& a) {
  a.out(0, broadcast(a, {&a.in(0), &a.in(1), &a.in(2)}));
  LabelledValue rate = a.in(3);
  rate.zero.assign(rate.axes.size(), 0);
  rate.stored = -1;
  a.out(1, std::move(rate));
}

/// X [.., H * C] in parts as long as the scale, each normalised and gated by as much of the gate: parts are heads.
void gated_norm(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const LabelledValue& scale = a.in(1);
  const LabelledValue& gate = a.in(2);
  const int64_t width = scale.rank() == 1 ? scale.axes[0].length : 0;
  if (x.rank() < 1 || gate.rank() != x.rank() || width < 1 || x.axes.back().length < width || x.axes.back().length % width != 0) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  const auto [heads, within] = a.labels.split(x.axes.back(), x.axes.back().length / width, width);
  const Label anchor = a.because("it normalises over this axis: a mean over fewer channels is another function", kHeads);
  a.labels.freeze(within, anchor);
  a.labels.freeze(scale.axes[0], anchor);
  LabelledValue result = broadcast(a, {&x, &gate});
  result.zero.back() = x.zero.back();
  a.out(0, std::move(result));
}

}  // namespace

void add_state_rules(RuleTable& table) {
  for (const char* domain : {"", "com.microsoft."}) {
    table[std::string(domain) + "LinearAttention"] = linear_attention;
    table[std::string(domain) + "CausalConvWithState"] = causal_convolution;
  }
  table["com.microsoft.LinearAttentionGate"] = gates;
  table["com.microsoft.GatedRMSNorm"] = gated_norm;
}

}  // namespace sparsify
