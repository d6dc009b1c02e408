// Operators that look at places of their operand: channels pass one by one, what they look along stays.
#include <algorithm>
#include <set>

#include "structure/analysis.h"

namespace sparsify {
namespace {

/// All other inputs are places, sizes, lengths: they stay.
void hold_others(Analysis& a, const std::string& reason) {
  for (size_t input = 1; input < a.flat().inputs.size(); ++input) {
    for (const Axis& axis : a.in(input).axes) a.labels.freeze(axis, a.because(reason));
  }
}

/// x [N, C, ...] at places that other inputs give -> [M, C, ...]
void sample(Analysis& a) {
  const LabelledValue& x = a.in(0);
  LabelledValue result = a.inferred(0);
  if (x.rank() < 3 || !result.known || result.rank() < 2) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  hold_others(a, "it gives places to look at");
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (axis != 1) a.labels.freeze(x.axes[static_cast<size_t>(axis)], a.because("it looks along this axis"));
  }
  result.axes[1] = x.axes[1];
  result.zero.assign(result.axes.size(), 0);
  result.zero[1] = x.zero[1];
  a.out(0, std::move(result));
}

/// A signal [N, ..., 1 or 2], transformed along one axis; real and imaginary parts lie along the last.
void transform(Analysis& a) {
  const LabelledValue& x = a.in(0);
  for (size_t input = 1; input < a.flat().inputs.size(); ++input) a.parameter(input);
  const std::optional<std::vector<int64_t>> given = a.has(2) ? a.integers(2) : std::vector<int64_t>{a.node().integer("axis", a.flat().opset < 20 ? 1 : -2)};
  const int at = given && given->size() == 1 ? Analysis::normal(given->front(), x.rank()) : -1;
  if (at < 0 || at >= x.rank()) return a.freeze_all("its axis is computed at run time", "export with a constant axis");
  LabelledValue result = x;
  result.stored = -1;
  result.all_zero = false;
  for (const size_t axis : {static_cast<size_t>(at), x.axes.size() - 1}) {
    a.labels.freeze(x.axes[axis], a.because("it transforms along this axis"));
    result.axes[axis] = a.fixed(-1);
    result.zero[axis] = 0;
  }
  a.out(0, std::move(result));
}

/// Result of x's shape; `held` axes stay, zeros stay zeros along the others.
void along(Analysis& a, const std::set<int>& held, const std::string& reason) {
  const LabelledValue& x = a.in(0);
  hold_others(a, reason);
  for (const int axis : held) a.labels.freeze(x.axes.at(static_cast<size_t>(axis)), a.because(reason));
  LabelledValue result = with_axes_of(x);
  a.out(0, std::move(result));
}

}  // namespace

void add_sampling_rules(RuleTable& table) {
  for (const char* op : {"GridSample", "RoiAlign", "MaxRoiPool", "com.microsoft.GridSample"}) table[op] = sample;
  table["com.microsoft.CropAndResize"] = [](Analysis& a) {
    if (a.in(0).rank() != 4) return a.freeze_all("its operand is no picture", "export the model again");
    a.hold_others(0, {1});
    a.parameter(3);
    const auto size = a.integers(3);
    const Axis boxes = a.in(1).axes.empty() ? a.fixed(-1) : a.in(1).axes[0];
    LabelledValue result;
    result.known = true;
    result.axes = {boxes, a.in(0).axes[1], a.fixed(size && size->size() == 2 ? (*size)[0] : -1), a.fixed(size && size->size() == 2 ? (*size)[1] : -1)};
    // Outside the picture it gives a number of its own.
    result.zero = {0, static_cast<char>(a.in(0).zero[1] != 0 && a.node().number("extrapolation_value", 0.0F) == 0.0F), 0, 0};
    hold_others(a, "it gives places to look at");
    a.out(0, std::move(result));
  };
  table["DFT"] = transform;
  table["Trilu"] = table["com.microsoft.Trilu"] = [](Analysis& a) {
    const int rank = a.in(0).rank();
    if (rank < 2) return a.freeze_all("its operand has fewer than two axes", "export the model again");
    a.parameter(1);
    along(a, {rank - 2, rank - 1}, "it takes a triangle of these axes");
  };
  table["ReverseSequence"] = [](Analysis& a) {
    const int rank = a.in(0).rank();
    along(a, {Analysis::normal(a.node().integer("time_axis", 0), rank), Analysis::normal(a.node().integer("batch_axis", 1), rank)}, "it reverses along this axis");
  };
}

}  // namespace sparsify
