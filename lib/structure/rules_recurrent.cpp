// LSTM, GRU, RNN: a hidden unit is one row of every gate, one column of the recurrence, one index of the state.
//
//   X [T, N, I]  W [D, G*H, I]  R [D, G*H, H]  B [D, 2*G*H]  initial states [D, N, H]  peepholes [D, 3*H]
//   Y [T, D, N, H]  Y_h, Y_c [D, N, H]; with layout = 1 batch first
//
// DynamicQuantizeLSTM turns its weights, W [D, I, 4*H] and R [D, H, 4*H], and has their scales and zero points [D] or [D, 4*H] behind
// the peepholes.
#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

void unite_blocks(Analysis& a, const Axis& axis, const Axis& hidden) {
  if (axis.is_fixed()) return a.labels.freeze(hidden, axis.anchor);
  for (int64_t i = 0; i < axis.length; ++i) a.labels.unite(axis.at(i), hidden.at(i % hidden.length));
}

/// A scale of inputs and state comes from their smallest and largest value: zeros do not move it, other values do. A masked weight
/// holds the integer 0, which is no zero beside another zero point.
bool keeps_ranges(Analysis& a, const Axis& hidden) {
  const LabelledValue& x = a.in(0);
  if (x.zero[2] == 0) a.labels.freeze(x.axes[2], a.because("its scale depends on channels that are not zero where they were removed"));
  for (const size_t input : {size_t{8}, size_t{9}, size_t{10}, size_t{11}}) {
    if (!a.has(input)) continue;
    a.passive(input);
    if (a.in(input).rank() != 2) continue;
    a.labels.freeze(a.in(input).axes[0], a.space());
    if (a.in(input).axes[1].length % hidden.length == 0) unite_blocks(a, a.in(input).axes[1], hidden);
  }
  return a.is_zero(9) && a.is_zero(11);
}

void recurrent(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const LabelledValue& w = a.in(1);
  const LabelledValue& r = a.in(2);
  const bool quantised = a.node().op_type == "DynamicQuantizeLSTM";
  const size_t rows = quantised ? 2 : 1;     // of the weights: gates
  const size_t columns = quantised ? 1 : 2;  // what they multiply
  if (x.rank() != 3 || w.rank() != 3 || r.rank() != 3) return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  const std::string& op = a.node().op_type;
  const int64_t gates = op == "LSTM" || quantised ? 4 : op == "GRU" ? 3 : 1;
  const Axis hidden = r.axes[columns];
  const bool fits = hidden.length > 1 && w.axes[rows].length == gates * hidden.length && r.axes[rows].length == gates * hidden.length &&
                    w.axes[columns].length == x.axes[2].length;
  if (!fits) return a.freeze_all("its weights are not of the usual shapes", "export the model again");
  a.labels.unite(x.axes[2], w.axes[columns]);
  const bool exact = !quantised || keeps_ranges(a, hidden);
  if ((w.zero[columns] == 0 || !exact) && x.zero[2] == 0) a.labels.freeze(x.axes[2], a.because("it sums over inputs that are not zero where they were removed"));
  a.hold_others(0, {2});
  a.hold_others(4, {});
  for (const size_t input : {size_t{5}, size_t{6}}) a.hold_others(input, {-1});
  a.labels.freeze(w.axes[0], a.space());
  a.labels.freeze(r.axes[0], a.space());
  unite_blocks(a, w.axes[rows], hidden);
  unite_blocks(a, r.axes[rows], hidden);
  // Of masked rows: gates are 0.5, candidates 0, so that the state stays 0 from a zero start.
  bool zero = exact && w.zero[rows] != 0 && r.zero[rows] != 0 && a.node().find("activations") == nullptr;
  for (const size_t input : {size_t{3}, size_t{7}}) {
    if (!a.has(input)) continue;
    const Axis& axis = a.in(input).axes.back();
    if (axis.length % hidden.length != 0) return a.freeze_all("its weights are not of the usual shapes", "export the model again");
    unite_blocks(a, axis, hidden);
    a.labels.freeze(a.in(input).axes.front(), a.space());
    zero = zero && a.in(input).zero.back() != 0;
  }
  for (const size_t input : {size_t{5}, size_t{6}}) {
    if (!a.has(input) || (input == 6 && op != "LSTM" && !quantised)) continue;
    const Axis& axis = a.in(input).axes.back();
    if (axis.length == hidden.length) a.labels.unite(axis, hidden);
    else a.labels.freeze(hidden, a.because("its initial state is of another width"));
    zero = zero && (a.in(input).zero.back() != 0 || a.in(input).all_zero);
  }
  if (quantised && !zero) a.labels.freeze(hidden, a.because("the scale of its state depends on units that are not zero where they were removed"));
  if (a.node().find("hidden_size") != nullptr) a.count_attribute("hidden_size", a.node().integer("hidden_size", 0), hidden);
  const bool batch_first = a.node().integer("layout", 0) != 0;
  const Axis directions = a.fixed(w.axes[0].length);
  for (size_t output = 0; output < a.flat().outputs.size(); ++output) {
    LabelledValue result;
    result.known = true;
    if (output == 0) {
      if (batch_first) result.axes = {x.axes[0], x.axes[1], directions, hidden};
      else result.axes = {x.axes[0], directions, x.axes[1], hidden};
    } else if (batch_first) {
      result.axes = {x.axes[0], directions, hidden};
    } else {
      result.axes = {directions, x.axes[1], hidden};
    }
    result.zero.assign(result.axes.size(), 0);
    result.zero.back() = zero;
    a.out(output, std::move(result));
  }
}

}  // namespace

void add_recurrent_rules(RuleTable& table) {
  for (const char* op : {"LSTM", "GRU", "RNN", "com.microsoft.DynamicQuantizeLSTM"}) table[op] = recurrent;
}

}  // namespace sparsify
