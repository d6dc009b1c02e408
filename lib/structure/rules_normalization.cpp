// Normalisations: what they normalise over must stay whole, because masked zeros count in a mean and cut channels do not.
#include <fmt/core.h>

#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

Label normalised(Analysis& a) {
  return a.because("it normalises over this axis: a mean over fewer channels is another function",
                   "cut the layers' inner channels and heads; this width stays");
}

void unite_vector(Analysis& a, size_t input, const Axis& axis) {
  if (!a.has(input) || a.in(input).axes.empty()) return;
  const Axis& own = a.in(input).axes.back();
  if (own.length == axis.length) a.labels.unite(own, axis);
}

/// With scale and bias masked the result is zero, whatever the statistics.
void batch_normalization(Analysis& a) {
  const LabelledValue& x = a.in(0);
  if (x.rank() < 2) return a.freeze_all("its operand has fewer than two axes", "export the model again");
  for (size_t input = 1; input <= 4; ++input) unite_vector(a, input, x.axes[1]);
  a.passive(3);
  a.passive(4);
  if (a.node().integer("training_mode", 0) != 0) a.hold_others(0, {1});  // the batch's own mean and variance
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero.assign(x.axes.size(), 0);
  result.zero[1] = a.in(1).rank() == 1 && a.in(1).zero[0] != 0 && a.in(2).rank() == 1 && a.in(2).zero[0] != 0;
  a.out(0, std::move(result));
  for (size_t output = 1; output < a.flat().outputs.size(); ++output) {  // statistics of each channel
    LabelledValue statistics;
    statistics.known = true;
    statistics.axes = {x.axes[1]};
    a.out(output, std::move(statistics));
  }
}

void instance_normalization(Analysis& a) {
  const LabelledValue& x = a.in(0);
  for (size_t input = 1; input <= 2; ++input) unite_vector(a, input, x.axes[1]);
  for (int axis = 2; axis < x.rank(); ++axis) a.labels.freeze(x.axes[static_cast<size_t>(axis)], normalised(a));
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero.assign(x.axes.size(), 0);
  result.zero[1] = a.in(1).zero.at(0) != 0 && a.in(2).zero.at(0) != 0;
  a.out(0, std::move(result));
}

/// Whole groups of channels can go; within one, the statistics hold the channels together.
void group_normalization(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const int64_t groups = a.node().integer("num_groups", a.node().integer("groups", 1));
  const bool last = a.node().domain == "com.microsoft" && a.node().integer("channels_last", 1) != 0;
  const Axis& channels = x.axes[last ? x.axes.size() - 1 : 1];
  if (x.rank() < 2 || channels.length < 0 || groups < 1 || channels.length % groups != 0) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  a.hold_others(0, {0, last ? -1 : 1});
  const auto [whole, within] = a.labels.split(channels, groups, channels.length / groups);
  a.labels.freeze(within, normalised(a));
  a.count_attribute(a.node().find("groups") != nullptr ? "groups" : "num_groups", groups, whole);
  bool zero = true;
  for (size_t input = 1; input <= 2; ++input) {
    if (!a.has(input)) continue;
    const Axis& own = a.in(input).axes.at(0);
    a.labels.unite(own, own.length == channels.length ? channels : whole);
    zero = zero && a.in(input).zero.at(0) != 0;
  }
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero.assign(x.axes.size(), 0);
  result.zero[last ? x.axes.size() - 1 : 1] = zero;
  a.out(0, std::move(result));
}

/// x / sqrt(mean(x^2) + epsilon) * scale over the last axis: removed channels that are zero add nothing to the sum, and the mean
/// over fewer is a factor (Rescale). False where that does not hold.
bool root_mean_square(Analysis& a, int axis) {
  const LabelledValue& x = a.in(0);
  const bool skip = a.node().op_type.starts_with("Skip");  // x is the sum of the first two inputs
  const auto last = static_cast<size_t>(x.rank() - 1);
  if (x.rank() < 1 || axis != x.rank() - 1 || x.axes[last].is_fixed() || x.zero[last] == 0) return false;
  const auto zero_at_last = [&](size_t input) { return a.in(input).rank() > 0 && a.in(input).zero.back() != 0; };
  if (skip && (!zero_at_last(1) || (a.has(3) && !zero_at_last(3)))) return false;
  for (size_t output = 1; output < a.flat().outputs.size(); ++output) {
    const bool sum = skip && output == 3;
    if (!a.flat().outputs[output].empty() && !sum) return false;  // mean and deviation are asked for
  }
  return a.rescale(x.axes[last], -0.5, a.node().number("epsilon", skip ? 1e-12F : 1e-5F));  // the operators' defaults
}

/// Axes from `axis` on are normalised over; vectors of their shape follow.
void layer_normalization(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const int axis = Analysis::normal(a.node().integer("axis", -1), x.rank());
  const std::string& op = a.node().op_type;
  const bool skip = op.starts_with("Skip");
  const bool rescaled = (op == "RMSNormalization" || op.find("Simplified") != std::string::npos) && root_mean_square(a, axis);
  for (size_t i = 0; i < x.axes.size(); ++i) {
    if (static_cast<int>(i) >= axis && !rescaled) a.labels.freeze(x.axes[i], normalised(a));
  }
  for (size_t input = 1; input < a.flat().inputs.size(); ++input) {
    if (!a.has(input)) continue;
    const LabelledValue& other = a.in(input);
    for (int own = 0; own < other.rank(); ++own) {
      const int at = x.rank() - other.rank() + own;
      if (at >= 0 && other.axes[static_cast<size_t>(own)].length == x.axes[static_cast<size_t>(at)].length) {
        a.labels.unite(other.axes[static_cast<size_t>(own)], x.axes[static_cast<size_t>(at)]);
      }
    }
  }
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero.assign(x.axes.size(), 0);
  if (rescaled) result.zero.back() = 1;
  for (size_t output = 0; output < a.flat().outputs.size(); ++output) {
    if (output == 0) {
      a.out(0, result);
      continue;
    }
    LabelledValue extra = a.inferred(output);
    if (extra.known && extra.rank() == x.rank()) {
      for (int i = 0; i < axis; ++i) extra.axes[static_cast<size_t>(i)] = x.axes[static_cast<size_t>(i)];
    }
    // Skip*Normalization give the sum of their inputs as the last output.
    if (skip && output == 3) extra = result;
    a.out(output, std::move(extra));
  }
}

void over_axes(Analysis& a, const std::vector<int64_t>& axes, const std::string& what) {
  const LabelledValue& x = a.in(0);
  LabelledValue result;
  result.known = true;
  result.axes = x.axes;
  result.zero.assign(x.axes.size(), 0);
  for (const int64_t axis : axes) {
    const auto at = static_cast<size_t>(Analysis::normal(axis, x.rank()));
    if (at < x.axes.size()) a.labels.freeze(x.axes[at], a.because(what, "cut the layers' inner channels and heads; this axis stays"));
  }
  a.out(0, std::move(result));
}

constexpr const char* kSoftmax = "it is a softmax over this axis: a masked 0 takes its share, a cut index does not";

void softmax(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const bool one_axis = a.flat().opset >= 13;
  const int64_t axis = Analysis::normal(a.node().integer("axis", one_axis ? -1 : 1), x.rank());
  std::vector<int64_t> axes = {axis};
  for (int64_t i = axis + 1; !one_axis && i < x.rank(); ++i) axes.push_back(i);
  over_axes(a, axes, kSoftmax);
}

}  // namespace

void add_normalization_rules(RuleTable& table) {
  table["BatchNormalization"] = batch_normalization;
  table["InstanceNormalization"] = instance_normalization;
  table["GroupNormalization"] = group_normalization;
  table["com.microsoft.GroupNorm"] = group_normalization;
  for (const char* op : {"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "com.microsoft.SimplifiedLayerNormalization",
                         "com.microsoft.SkipLayerNormalization", "com.microsoft.SkipSimplifiedLayerNormalization"}) {
    table[op] = layer_normalization;
  }
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) table[op] = softmax;
  const std::string mean = "it normalises over this axis: a mean over fewer channels is another function";
  // Zeros add nothing to a norm.
  table["LpNormalization"] = [mean](Analysis& a) {
    const LabelledValue& x = a.in(0);
    const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", -1), x.rank()));
    if (at >= x.axes.size() || x.zero[at] == 0) return over_axes(a, {static_cast<int64_t>(at)}, mean);
    LabelledValue result = with_axes_of(x);
    a.out(0, std::move(result));
  };
  table["LRN"] = [](Analysis& a) { over_axes(a, {1}, "it normalises over neighbouring channels: a cut changes who is a neighbour"); };
  table["MeanVarianceNormalization"] = [mean](Analysis& a) { over_axes(a, a.node().integers("axes", {0, 2, 3}), mean); };
  for (const char* op : {"CumSum", "CumProd"}) {
    table[op] = [](Analysis& a) {
      a.parameter(1);
      const auto axis = a.integers(1);
      if (!axis || axis->size() != 1) return a.freeze_all("its axis is computed at run time", "export with a constant axis");
      over_axes(a, *axis, a.node().op_type == "CumSum" ? "it sums along this axis" : "it multiplies along this axis");
    };
  }
  table["com.microsoft.QLinearSoftmax"] = [](Analysis& a) {
    for (const size_t input : {1, 2, 3, 4}) a.passive(input);
    const int64_t axis = Analysis::normal(a.node().integer("axis", -1), a.in(0).rank());
    std::vector<int64_t> axes = {axis};
    for (int64_t i = axis + 1; a.node().integer("opset", 13) < 13 && i < a.in(0).rank(); ++i) axes.push_back(i);
    over_axes(a, axes, kSoftmax);
  };
}

}  // namespace sparsify
