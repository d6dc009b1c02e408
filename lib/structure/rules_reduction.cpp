// Reductions: what is left out must add nothing.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "structure/analysis.h"

namespace sparsify {
namespace {

enum class Kind {
  Sum,   ///< zeros add nothing
  Mean,  ///< zeros add nothing, but they are counted
  Max,   ///< zeros are not the largest where nothing is below zero
  Log,   ///< of zeros it is not zero
  Other  ///< a zero may be the result
};

/// No element is below zero, as the operators that lead to the value tell.
bool is_nonnegative(const Analysis& a, const std::string& value, std::map<std::string, bool>& known) {
  static const std::set<std::string> always = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Sqrt", "Softplus"};
  static const std::set<std::string> with_first = {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze",
                                                   "Expand", "Slice", "Identity", "Dropout", "ReduceMean", "ReduceMax", "ReduceSum"};
  static const std::set<std::string> with_all = {"Add", "Mul", "Concat", "Max"};
  const auto [entry, fresh] = known.try_emplace(value, false);
  if (!fresh) return entry->second;
  const auto made = std::find_if(a.graph.nodes.begin(), a.graph.nodes.end(), [&](const FlatNode& one) { return !one.outputs.empty() && one.outputs[0] == value; });
  if (made == a.graph.nodes.end() || !made->node->domain.empty()) return false;
  const std::string& op = made->node->op_type;
  const auto below = [&](const std::string& input) { return !is_nonnegative(a, input, known); };
  entry->second = always.contains(op) || (with_first.contains(op) && !below(made->inputs.at(0))) ||
                  (with_all.contains(op) && std::none_of(made->inputs.begin(), made->inputs.end(), below));
  return entry->second;
}

bool is_nonnegative(const Analysis& a, const std::string& value) {
  std::map<std::string, bool> known;
  return is_nonnegative(a, value, known);
}

void reduce(Analysis& a, Kind kind) {
  const LabelledValue& x = a.in(0);
  const bool listed = a.node().find("axes") != nullptr || a.has(1);
  const auto axes = listed ? a.attribute_or_input("axes", 1) : std::optional(std::vector<int64_t>{});
  if (!axes) return a.freeze_all("its axes are computed at run time", "export with constant axes");
  const bool all = axes->empty();
  if (all && a.node().integer("noop_with_empty_axes", 0) != 0) {
    LabelledValue result = with_axes_of(x);
    return a.out(0, std::move(result));
  }
  std::set<int> reduced;
  for (const int64_t axis : *axes) reduced.insert(Analysis::normal(axis, x.rank()));
  for (int i = 0; i < x.rank(); ++i) {
    if ((all || reduced.contains(i)) && x.axes[static_cast<size_t>(i)].length == 0) return a.freeze_all("it reduces an axis without elements", "export with static shapes");
  }
  const bool keep = a.node().integer("keepdims", 1) != 0;
  LabelledValue result;
  result.known = true;
  std::vector<Axis> means;
  for (int i = 0; i < x.rank(); ++i) {
    const Axis& axis = x.axes[static_cast<size_t>(i)];
    const bool zero = x.zero[static_cast<size_t>(i)] != 0;
    if (!all && !reduced.contains(i)) {
      if (zero && a.node().op_type == "ReduceLogSum") a.labels.freeze(axis, a.because("it has no finite value at 0, so that a masked channel has none"));
      result.axes.push_back(axis);
      result.zero.push_back(zero && kind != Kind::Log ? 1 : 0);
      continue;
    }
    if (keep) {
      result.axes.push_back(a.fixed(1));
      result.zero.push_back(0);
    }
    if (axis.is_fixed()) continue;
    if (kind == Kind::Max && zero && is_nonnegative(a, a.flat().inputs.at(0))) continue;
    if (kind == Kind::Max) {
      a.labels.freeze(axis, a.because("it takes the largest over this axis, which may be a masked 0", "a Relu in front of it, and nothing between that gives a masked channel a value"));
    } else if (kind == Kind::Log || kind == Kind::Other) {
      a.labels.freeze(axis, a.because("it reduces this axis, where a masked 0 may be the result"));
    } else if (!zero) {
      a.labels.freeze(axis, a.because("it sums over this axis, where removed channels are not zero",
                                      "an activation that maps 0 to 0 in front of it (Relu, Gelu, Tanh)"));
    } else if (kind == Kind::Mean) {
      means.push_back(axis);
    }
  }
  for (const Axis& axis : means) {
    if (a.rescale(axis, 1)) continue;
    a.labels.freeze(axis, a.because("it is a mean over this axis: over fewer channels it is another number", "inline the model's functions before cutting"));
  }
  a.out(0, std::move(result));
}

void arg(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const int axis = Analysis::normal(a.node().integer("axis", 0), x.rank());
  a.labels.freeze(x.axes.at(static_cast<size_t>(axis)), a.because("it gives positions along this axis"));
  LabelledValue result;
  result.known = true;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == axis && a.node().integer("keepdims", 1) == 0) continue;
    result.axes.push_back(i == axis ? a.fixed(1) : x.axes[static_cast<size_t>(i)]);
    result.zero.push_back(0);
  }
  a.out(0, std::move(result));
}

}  // namespace

void add_reduction_rules(RuleTable& table) {
  for (const char* op : {"ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare"}) table[op] = [](Analysis& a) { reduce(a, Kind::Sum); };
  table["ReduceMean"] = [](Analysis& a) { reduce(a, Kind::Mean); };
  table["ReduceMax"] = [](Analysis& a) { reduce(a, Kind::Max); };
  for (const char* op : {"ReduceMin", "ReduceProd"}) table[op] = [](Analysis& a) { reduce(a, Kind::Other); };
  for (const char* op : {"ReduceLogSum", "ReduceLogSumExp"}) table[op] = [](Analysis& a) { reduce(a, Kind::Log); };
  for (const char* op : {"ArgMax", "ArgMin"}) table[op] = arg;
}

}  // namespace sparsify
