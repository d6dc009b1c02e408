// Gather and its kin: some indices of an axis, by number.
#include <fmt/core.h>

#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

constexpr const char* kStatic = "only the run knows which indices it takes; this axis stays";

/// data with axis `at` replaced by the axes of the indices.
LabelledValue with_axes(const LabelledValue& data, size_t at, const std::vector<Axis>& axes, bool zero) {
  LabelledValue result;
  result.known = true;
  for (size_t i = 0; i < data.axes.size(); ++i) {
    if (i == at) {
      result.axes.insert(result.axes.end(), axes.begin(), axes.end());
      result.zero.insert(result.zero.end(), axes.size(), zero);
    } else {
      result.axes.push_back(data.axes[i]);
      result.zero.push_back(data.zero[i]);
    }
  }
  result.all_zero = data.all_zero;
  return result;
}

/// Which units an index of the data stands for is known: numbers move with what goes in front of them.
bool gather_known(Analysis& a, const Axis& axis, size_t at) {
  const LabelledValue& data = a.in(0);
  const LabelledValue& indices = a.in(1);
  if (!indices.integers || indices.rank() > 1) return false;
  const std::vector<ExpressionPtr> numbers = *a.parameter(1);
  std::vector<Label> labels;
  for (const ExpressionPtr& number : numbers) {
    const int64_t index = number->value < 0 ? number->value + axis.length : number->value;
    if (number->kind != Expression::Kind::Constant || index < 0 || index >= axis.length) return false;
    labels.push_back(axis.at(index));
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    const int64_t value = numbers[i]->value;
    if (value >= 0) a.count(numbers[i], axis, 0, value);
    else a.count(numbers[i], axis, axis.length + value, axis.length, -1);
  }
  if (numbers.size() == 1) {
    a.labels.freeze(labels[0], a.because("it takes this one index"));
    std::vector<Axis> one;
    for (const Axis& own : indices.axes) one.push_back(own);
    a.out(0, with_axes(data, at, one, false));
    return true;
  }
  Axis taken = axis_of(std::move(labels));
  if (!indices.axes[0].is_fixed()) a.labels.unite(indices.axes[0], taken);  // the list of indices is cut along
  else a.labels.freeze(taken, a.because("the list of indices is computed in the graph"));
  a.out(0, with_axes(data, at, {taken}, data.zero[at] != 0));
  return true;
}

void gather(Analysis& a) {
  const LabelledValue& data = a.in(0);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 0), data.rank()));
  const Axis axis = data.axes.at(at);
  if (!axis.is_fixed() && axis.length > 1 && gather_known(a, axis, at)) return;
  a.labels.freeze(axis, a.because("it looks indices up at run time", kStatic));
  a.out(0, with_axes(data, at, a.in(1).axes, false));
}

/// The last axis of the indices addresses the first axes of the data (behind batch_dims).
void gather_nd(Analysis& a) {
  const LabelledValue& data = a.in(0);
  const LabelledValue& indices = a.in(1);
  const auto batch = static_cast<size_t>(a.node().integer("batch_dims", 0));
  const int64_t depth = indices.axes.empty() ? -1 : indices.axes.back().length;
  if (depth < 0 || batch + static_cast<size_t>(depth) > data.axes.size()) return a.freeze_all("its shape is not known before run time", kStatic);
  const size_t first = batch + static_cast<size_t>(depth);
  for (size_t i = 0; i < first; ++i) a.labels.freeze(data.axes[i], a.because("it looks indices up at run time", kStatic));
  LabelledValue result;
  result.known = true;
  for (size_t i = 0; i + 1 < indices.axes.size(); ++i) {
    a.labels.freeze(indices.axes[i], a.space());
    result.axes.push_back(a.fixed(indices.axes[i].length));
    result.zero.push_back(0);
  }
  for (size_t i = first; i < data.axes.size(); ++i) {
    result.axes.push_back(data.axes[i]);
    result.zero.push_back(data.zero[i]);
  }
  a.out(0, std::move(result));
}

/// Along `axis` anything may happen; the other axes go index by index.
void mixes_axis(Analysis& a, int64_t axis, const std::string& reason) {
  const LabelledValue& x = a.in(0);
  const auto at = static_cast<size_t>(Analysis::normal(axis, x.rank()));
  if (at >= x.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
  a.labels.freeze(x.axes[at], a.because(reason, kStatic));
  for (size_t output = 0; output < a.flat().outputs.size(); ++output) {
    const LabelledValue expected = a.inferred(output);
    LabelledValue result;
    result.known = true;
    result.axes = x.axes;
    result.axes[at] = a.fixed(expected.known && expected.rank() == x.rank() ? expected.axes[at].length : -1);
    result.zero.assign(x.axes.size(), 0);
    if (output == 0) {
      result.zero = x.zero;
      result.zero[at] = 0;
    }
    a.out(output, std::move(result));
  }
}

/// Ties among zeros decide indices, so only values keep their zeros.
void top_k(Analysis& a) {
  a.parameter(1);
  mixes_axis(a, a.node().integer("axis", -1), "it sorts along this axis");
}

void gather_elements(Analysis& a) {
  const LabelledValue& data = a.in(0);
  const LabelledValue& indices = a.in(1);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 0), data.rank()));
  if (indices.rank() != data.rank()) return a.freeze_all("its operands differ in rank", "export the model again");
  for (size_t i = 0; i < data.axes.size(); ++i) {
    const bool along = i != at && data.axes[i].length == indices.axes[i].length && data.axes[i].length >= 0;
    if (along) a.labels.unite(data.axes[i], indices.axes[i]);
    else a.labels.freeze(data.axes[i], a.because("it looks indices up at run time", kStatic));
  }
  a.labels.freeze(indices.axes[at], a.space());
  LabelledValue result = with_axes_of(data);
  for (size_t i = 0; i < data.axes.size(); ++i) {
    if (i == at || data.axes[i].length != indices.axes[i].length) {
      result.axes[i] = a.fixed(indices.axes[i].length);
      result.zero[i] = 0;
    }
  }
  a.out(0, std::move(result));
}

}  // namespace

void add_selection_rules(RuleTable& table) {
  table["Gather"] = gather;
  table["GatherND"] = gather_nd;
  table["com.microsoft.GatherND"] = gather_nd;
  table["GatherElements"] = gather_elements;
  table["TopK"] = top_k;
}

}  // namespace sparsify
