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

Axis part_of(const Axis& axis, int64_t first, int64_t count) {
  if (axis.is_fixed()) return {count, nullptr, axis.anchor};
  const auto from = axis.labels->begin() + static_cast<std::ptrdiff_t>(first);
  return axis_of(std::vector<Label>(from, from + static_cast<std::ptrdiff_t>(count)));
}

/// Where the operands of an attention with its own projections stand.
struct Projecting {
  size_t past = 4;
  size_t bias = 5;                      ///< added to the products of queries and keys; SIZE_MAX: it has none
  std::vector<size_t> per_column = {};  ///< scale and zero point of the weight
  std::vector<size_t> scalars = {};
};

/// com.microsoft.Attention: one weight [inputs, queries | keys | values] and its bias, then attention of `num_heads` heads.
void projecting_attention(Analysis& a, const Projecting& operands) {
  const LabelledValue& x = a.in(0);
  const LabelledValue& weight = a.in(1);
  const int64_t count = a.node().integer("num_heads", 0);
  const bool fits = x.rank() == 3 && weight.rank() == 2 && weight.axes[1].length > 0 && weight.axes[0].length == x.axes[2].length;
  const std::vector<int64_t> sizes = a.node().integers("qkv_hidden_sizes", std::vector<int64_t>(3, fits ? weight.axes[1].length / 3 : 0));
  const bool whole = fits && count > 0 && sizes.size() == 3 && sizes[0] == sizes[1] && sizes[0] + sizes[1] + sizes[2] == weight.axes[1].length;
  if (!whole || sizes[0] % count != 0 || sizes[2] % count != 0) return a.freeze_all("its heads do not divide evenly", "export the model again");
  // A masked weight holds the integer 0, which is no zero beside another zero point.
  bool exact = true;
  for (const size_t input : operands.per_column) {
    if (!a.has(input)) continue;
    a.passive(input);
    if (a.in(input).rank() == 1 && a.in(input).axes[0].length == weight.axes[1].length) a.labels.unite(a.in(input).axes[0], weight.axes[1]);
    exact = input != operands.per_column.back() || a.is_zero(input);
  }
  for (const size_t input : operands.scalars) a.passive(input);
  a.labels.unite(x.axes[2], weight.axes[0]);
  a.hold_others(0, {-1});
  for (size_t input = 3; input < a.flat().inputs.size(); ++input) {
    const bool column = std::find(operands.per_column.begin(), operands.per_column.end(), input) != operands.per_column.end();
    if (!column) a.hold_others(input, {});
  }
  if ((weight.zero[0] == 0 || !exact) && (x.zero[2] == 0 || x.stored >= 0)) a.labels.freeze(x.axes[2], a.because("it sums over channels that are not zero where they were removed"));
  bool zero = exact && weight.zero[1] != 0;
  if (a.has(2)) {
    a.labels.unite(a.in(2).axes.at(0), weight.axes[1]);
    zero = zero && a.in(2).zero.at(0) != 0;
  }
  const auto part = [&](size_t which, int64_t first) {
    const Axis axis = part_of(weight.axes[1], first, sizes[which]);
    return a.labels.split(axis, count, sizes[which] / count);
  };
  const auto [query_heads, query_width] = part(0, 0);
  const auto [key_heads, key_width] = part(1, sizes[0]);
  const auto [value_heads, value_width] = part(2, sizes[0] + sizes[1]);
  a.labels.unite(query_heads, key_heads);
  a.labels.unite(key_heads, value_heads);
  a.labels.unite(query_width, key_width);
  a.mark_heads(query_heads);
  const bool stated = a.node().number("scale", 0.0F) != 0.0F;
  const bool listed = a.node().find("qkv_hidden_sizes") != nullptr;
  const bool scales = stated || (listed && zero && a.state_scale(query_width));
  if (!scales || !listed || !zero) a.labels.freeze(query_width, scaled(a));
  // Without the list all three parts are of one size.
  if (!listed) a.labels.freeze(value_width, a.because("queries, keys and values are of one width", "state qkv_hidden_sizes, or cut whole heads"));
  a.count_attribute("num_heads", count, query_heads);
  const Axis result_axis = a.labels.join(value_heads, value_width);
  if (listed) {
    const Axis query = a.labels.join(query_heads, query_width);
    a.count_attribute("qkv_hidden_sizes", sizes[0], query, 0);
    a.count_attribute("qkv_hidden_sizes", sizes[1], query, 1);
    a.count_attribute("qkv_hidden_sizes", sizes[2], result_axis, 2);
  }
  const bool more = a.has(operands.past) || a.has(operands.bias) || (a.flat().outputs.size() > 1 && !a.flat().outputs[1].empty());
  if (more) a.labels.freeze(query_heads, a.because("a past state or a bias has an axis of heads"));
  if (more) a.labels.freeze(value_width, a.because("a past state has an axis of their width"));
  LabelledValue result;
  result.known = true;
  result.axes = {x.axes[0], x.axes[1], result_axis};
  result.zero = {0, 0, static_cast<char>(zero)};
  a.out(0, std::move(result));
  a.out(1, a.inferred(1));
}

/// Pairs of a head's channels turn by an angle: heads pass, their width stays.
void rotary(Analysis& a, size_t cosine) {
  const LabelledValue& x = a.in(0);
  LabelledValue result = with_axes_of(x);
  for (size_t input = 1; input < a.flat().inputs.size(); ++input) a.hold_others(input, {});
  if (x.rank() == 4) a.hold_others(0, {1, 3});
  else a.hold_others(0, {-1});
  const Label turned = a.because("it turns pairs of these channels by one angle", "cut whole heads");
  if (x.rank() == 4) {
    a.labels.freeze(x.axes[3], turned);
  } else {
    const int64_t stated = a.node().integer("num_heads", 0);
    const LabelledValue& cache = a.in(cosine);
    const Axis& packed = x.axes.back();
    const int64_t half = cache.axes.empty() ? 0 : cache.axes.back().length;
    const int64_t heads = stated > 0 ? stated : half > 0 ? packed.length / (2 * half) : 0;
    if (x.rank() != 3 || heads < 1 || packed.length < 1 || packed.length % heads != 0) {
      return a.freeze_all("its heads are not known before run time", "state num_heads");
    }
    const auto [upper, lower] = a.labels.split(packed, heads, packed.length / heads);
    a.labels.freeze(lower, turned);
    if (stated > 0) a.count_attribute("num_heads", stated, upper);
  }
  a.out(0, std::move(result));
}

/// The bias of queries, keys and values, one behind the other, as long as the three together.
bool add_packed_bias(Analysis& a, size_t input, const std::vector<const LabelledValue*>& parts) {
  const LabelledValue& bias = a.in(input);
  int64_t first = 0;
  for (const LabelledValue* part : parts) first += part->axes.back().length;
  if (bias.rank() != 1 || bias.axes[0].length != first) return false;
  first = 0;
  for (const LabelledValue* part : parts) {
    const int64_t count = part->axes.back().length;
    a.labels.unite(part_of(bias.axes[0], first, count), part->axes.back());
    first += count;
  }
  return true;
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
  for (const size_t input : {size_t{0}, size_t{1}, size_t{2}}) {
    if (four) a.hold_others(input, {1, 3});
    else a.hold_others(input, {-1});
  }
  unite_heads(a, query->heads, key->heads);
  a.labels.unite(key->heads, value->heads);
  a.mark_heads(query->heads);
  a.mark_heads(key->heads);
  if (query->width.length == key->width.length) a.labels.unite(query->width, key->width);
  const bool stated = a.node().find("scale") != nullptr && a.node().number("scale", 0.0F) != 0.0F;
  const bool zero = query->zero_width || key->zero_width;
  const bool scales = stated || query->width.is_fixed() || (linear_scale && zero && a.state_scale(query->width));
  if (!scales || !linear_scale || !zero) a.labels.freeze(query->width, scaled(a));
  if (!four) {
    a.count_attribute(query_heads, count, query->heads);
    if (a.node().find(kv_heads) != nullptr && kv_heads != query_heads) a.count_attribute(kv_heads, kv_count, key->heads);
  }
  const bool biased = a.node().op_type == "MultiHeadAttention" && !four && a.has(3);
  for (size_t input = 3; input < a.flat().inputs.size(); ++input) {
    if (!a.has(input) || (input == 3 && biased && add_packed_bias(a, 3, {&q, &k, &v}))) continue;
    for (const Axis& axis : a.in(input).axes) {
      for (const Axis* heads : {&query->heads, &key->heads}) {
        if (axis.length > 1 && axis.length == heads->length) a.labels.freeze(*heads, a.because("a mask or past state has an axis of heads"));
      }
      a.labels.freeze(axis, a.because("it is a mask or a past state of attention"));
    }
  }
  // A bias behind the projections: zero where it is masked as well.
  const bool bias_zero = !biased || (a.in(3).rank() == 1 && a.in(3).zero[0] != 0);
  LabelledValue result;
  result.known = true;
  if (four) {
    result.axes = {q.axes[0], query->heads, q.axes[2], value->width};
    result.zero = {0, static_cast<char>(value->zero_heads), 0, static_cast<char>(value->zero_width)};
  } else {
    result.axes = {q.axes[0], q.axes[1], a.labels.join(query->heads, value->width)};
    result.zero = {0, 0, static_cast<char>(value->zero_heads && value->zero_width && bias_zero)};
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
  table["RotaryEmbedding"] = [](Analysis& a) { rotary(a, 1); };
  table["com.microsoft.MRotaryEmbedding"] = [](Analysis& a) { rotary(a, 2); };
  table["com.microsoft.RotaryEmbedding"] = [](Analysis& a) { rotary(a, 2); };
  table["com.microsoft.Attention"] = [](Analysis& a) { projecting_attention(a, {}); };
  table["com.microsoft.QAttention"] = [](Analysis& a) {
    projecting_attention(a, {.past = 8, .bias = SIZE_MAX, .per_column = {4, 7}, .scalars = {3, 6}});
  };
  table["Attention"] = [](Analysis& a) { attend(a, "q_num_heads", "kv_num_heads", true); };
  table["com.microsoft.MultiHeadAttention"] = [](Analysis& a) { attend(a, "num_heads", "num_heads", false); };
  table["com.microsoft.GroupQueryAttention"] = [](Analysis& a) { attend(a, "num_heads", "kv_num_heads", false); };
}

}  // namespace sparsify
