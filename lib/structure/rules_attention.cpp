// Fused attention. Heads are units; with grouped queries a key-value head goes with its query heads.
#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

struct Heads {
  Axis heads;
  Axis width;
  bool zero_heads = false;
  bool zero_width = false;
};

Label scaled(Analysis& a) {
  return a.because("its scale is 1 / sqrt(head size) unless stated", "state the scale attribute, or cut whole heads");
}

/// [N, H, T, D] or [N, T, H * D]
std::optional<Heads> heads_of(Analysis& a, const LabelledValue& x, int64_t heads, bool four) {
  if (four) return Heads{x.axes[1], x.axes[3], x.zero[1] != 0, x.zero[3] != 0};
  const Axis& packed = x.axes.back();
  if (heads < 1 || packed.length < 1 || packed.length % heads != 0) return std::nullopt;
  const auto [upper, lower] = a.labels.split(packed, heads, packed.length / heads);
  return Heads{upper, lower, x.zero.back() != 0, x.zero.back() != 0};
}

/// Query head i reads key-value head i / (query heads / key-value heads).
void unite_heads(Analysis& a, const Axis& query, const Axis& other) {
  if (query.length == other.length) return a.labels.unite(query, other);
  if (other.length > 1 && query.length % other.length == 0) {
    const auto [upper, lower] = a.labels.split(query, other.length, query.length / other.length);
    return a.labels.unite(upper, other);
  }
  if (other.length != 1) {
    a.labels.freeze(query, a.because("its heads do not divide evenly"));
    a.labels.freeze(other, a.because("its heads do not divide evenly"));
  }
}

/// Inputs 3.. are masks, past states and tables: an axis as long as one of heads or width belongs to it; what else, stays.
void attend(Analysis& a, const std::string& query_heads, const std::string& kv_heads, bool linear_scale) {
  const LabelledValue& q = a.in(0);
  if (!a.has(1) || !a.has(2)) return a.freeze_all("its projections are packed in one operand", "export unpacked queries, keys and values");
  const LabelledValue& k = a.in(1);
  const LabelledValue& v = a.in(2);
  const bool four = q.rank() == 4;
  if (q.rank() != k.rank() || q.rank() != v.rank() || (q.rank() != 3 && q.rank() != 4)) {
    return a.freeze_all("its operands differ in rank", "export 3-D or 4-D queries, keys and values alike");
  }
  const int64_t count = a.node().integer(query_heads, 0);
  const int64_t kv_count = a.node().integer(kv_heads, count);
  const auto query = heads_of(a, q, count, four);
  const auto key = heads_of(a, k, kv_count, four);
  const auto value = heads_of(a, v, kv_count, four);
  if (!query || !key || !value) return a.freeze_all("its heads do not divide evenly", "export the model again");
  unite_heads(a, query->heads, key->heads);
  a.labels.unite(key->heads, value->heads);
  a.mark_heads(query->heads);
  a.mark_heads(key->heads);
  if (query->width.length == key->width.length) a.labels.unite(query->width, key->width);
  const bool stated = a.node().find("scale") != nullptr && a.node().number("scale", 0.0F) != 0.0F;
  if (!stated || !linear_scale || (!query->zero_width && !key->zero_width)) a.labels.freeze(query->width, scaled(a));
  if (!four) {
    a.count_attribute(query_heads, count, query->heads);
    if (a.node().find(kv_heads) != nullptr && kv_heads != query_heads) a.count_attribute(kv_heads, kv_count, key->heads);
  }
  for (size_t input = 3; input < a.flat().inputs.size(); ++input) {
    if (!a.has(input)) continue;
    for (const Axis& axis : a.in(input).axes) {
      if (axis.length > 1 && axis.length == query->heads.length) a.labels.freeze(query->heads, a.because("a mask or past state has an axis of heads"));
      a.labels.freeze(axis, a.because("it is a mask or a past state of attention"));
    }
  }
  LabelledValue result;
  result.known = true;
  if (four) {
    result.axes = {q.axes[0], query->heads, q.axes[2], value->width};
    result.zero = {0, static_cast<char>(value->zero_heads), 0, static_cast<char>(value->zero_width)};
  } else {
    result.axes = {q.axes[0], q.axes[1], a.labels.join(query->heads, value->width)};
    result.zero = {0, 0, static_cast<char>(value->zero_heads && value->zero_width)};
  }
  a.out(0, std::move(result));
  for (size_t output = 1; output < a.flat().outputs.size(); ++output) {
    if (a.flat().outputs[output].empty()) continue;
    const Label anchor = a.because("it gives its keys, values or products out as well");
    for (const Heads* one : {&*query, &*key, &*value}) {
      a.labels.freeze(one->heads, anchor);
      a.labels.freeze(one->width, anchor);
    }
    a.out(output, a.inferred(output));
  }
}

}  // namespace

void add_attention_rules(RuleTable& table) {
  table["Attention"] = [](Analysis& a) { attend(a, "q_num_heads", "kv_num_heads", true); };
  table["com.microsoft.MultiHeadAttention"] = [](Analysis& a) { attend(a, "num_heads", "num_heads", false); };
  table["com.microsoft.GroupQueryAttention"] = [](Analysis& a) { attend(a, "num_heads", "kv_num_heads", false); };
}

}  // namespace sparsify
